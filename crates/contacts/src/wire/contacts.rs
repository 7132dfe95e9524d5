//! Contacts.

use prost_types::Timestamp;
use proto::contacts::v1::{self, contact, qualification, source};
use proto::convert::{role_to_wire, timestamp_from_wire, timestamp_to_wire};
use proto::google::r#type as google;
use types::{ContactName, Micros};

use super::enums::{
    channel_to_wire, kind_to_wire, referral_kind_to_wire, relationship_kind_to_wire, state_to_wire,
    verdict_to_wire,
};
use super::{json, word};
use crate::domain::Faults;
use crate::domain::checks;
use crate::domain::contacts::Contact;
use crate::domain::facts::{
    Channel, Email, ExternalId, Facts, Identity, Interest, Kind, Phone, PostalAddress,
    Qualification, ReferralKind, RelationshipKind, Source, Verdict,
};

/// What a caller says about a contact, read.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The facts, in the form in which they are stored.
    pub facts: Facts,
    /// The kind, where the caller gave one.
    pub kind: Option<Kind>,
    /// Whom the facts refer to: the path, and the contact named there.
    pub references: Vec<(&'static str, ContactName)>,
}

/// Adds what is wrong with a contact beyond the rules of its proto, with paths within the contact.
/// Costs no memory where nothing is wrong, but for the names that it refers to.
pub fn check(message: &v1::Contact, faults: &mut Faults) {
    for (path, text) in references(message) {
        if let Err(error) = text.parse::<ContactName>() {
            faults.push(path, "resource_name", error.to_string());
        }
    }
    let emails = message.emails.iter();
    checks::emails(emails.map(|email| (&*email.address, email.primary)), faults);
    let phones = message.phones.iter();
    checks::phones(phones.map(|phone| (&*phone.number, phone.primary)), faults);
    let ids = message.external_ids.iter();
    checks::external_ids(ids.map(|id| (&*id.system, &*id.id)), faults);
    if let Some(attributes) = &message.attributes {
        checks::attributes(json::bytes_at_most(attributes), faults);
    }
}

/// The names of contacts in a contact, with their paths.
pub fn references(message: &v1::Contact) -> impl Iterator<Item = (&'static str, &str)> {
    let source = message.source.as_ref();
    let referrer = source.map_or("", |source| source.referrer.as_str());
    [
        ("company", message.company.as_str()),
        ("source.referrer", referrer),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
}

/// Reads a contact that neither the rules of its proto nor [`check`] found anything wrong with.
/// Output-only fields are passed over.
pub fn draft(message: &v1::Contact) -> Draft {
    let kind = kind_from_wire(message.kind);
    let references: Vec<(&'static str, ContactName)> = references(message)
        .filter_map(|(path, text)| Some((path, text.parse().ok()?)))
        .collect();
    let referred = |path: &str| {
        let found = references.iter().find(|(other, _)| *other == path);
        found.map_or_else(String::new, |(_, name)| name.contact.clone())
    };
    let mut facts = Facts {
        kind: kind.unwrap_or_default(),
        display_name: message.display_name.clone(),
        given_name: message.given_name.clone(),
        family_name: message.family_name.clone(),
        title: message.title.clone(),
        company: referred("company"),
        emails: message.emails.iter().map(email_from_wire).collect(),
        phones: message.phones.iter().map(phone_from_wire).collect(),
        postal_addresses: message
            .postal_addresses
            .iter()
            .map(address_from_wire)
            .collect(),
        urls: message.urls.clone(),
        relationship_kinds: message
            .relationship_kinds
            .iter()
            .filter_map(|kind| relationship_kind_from_wire(*kind))
            .collect(),
        source: source_from_wire(message.source.as_ref(), referred("source.referrer")),
        interest: message.interest.as_ref().map(interest_from_wire),
        identity: message.identity.as_ref().map(identity_from_wire),
        qualification: message.qualification.as_ref().map(qualification_from_wire),
        owner: message.owner.clone(),
        ready_to_buy: message.ready_to_buy,
        next_step_due_time: moment(message.next_step_due_time.as_ref()),
        external_ids: message
            .external_ids
            .iter()
            .map(external_id_from_wire)
            .collect(),
        tax_id: message.tax_id.clone(),
        legal_name: message.legal_name.clone(),
        labels: message.labels.clone(),
        attributes: message.attributes.as_ref().and_then(json::from_struct),
        note: message.note.clone(),
        requested_stage: message.requested_stage.clone(),
    };
    checks::settle(&mut facts);
    Draft {
        facts,
        kind,
        references,
    }
}

/// A moment that may be absent.
fn moment(at: Option<&Timestamp>) -> Option<Micros> {
    timestamp_from_wire(at?).ok()
}

fn interest_from_wire(given: &v1::Interest) -> Interest {
    Interest {
        expressed_time: moment(given.expressed_time.as_ref()).unwrap_or_default(),
        evidence: given.evidence.clone(),
    }
}

fn identity_from_wire(given: &v1::Identity) -> Identity {
    Identity {
        verified_time: moment(given.verified_time.as_ref()).unwrap_or_default(),
        method: given.method.clone(),
    }
}

fn external_id_from_wire(id: &v1::ExternalId) -> ExternalId {
    ExternalId {
        system: id.system.clone(),
        id: id.id.clone(),
    }
}

fn kind_from_wire(kind: i32) -> Option<Kind> {
    let kind = contact::Kind::try_from(kind).unwrap_or_default();
    Kind::from_word(word(kind.as_str_name(), "KIND_"))
}

fn relationship_kind_from_wire(kind: i32) -> Option<RelationshipKind> {
    let kind = contact::RelationshipKind::try_from(kind).unwrap_or_default();
    RelationshipKind::from_word(word(kind.as_str_name(), "RELATIONSHIP_KIND_"))
}

fn email_from_wire(email: &v1::Email) -> Email {
    Email {
        address: email.address.clone(),
        label: email.label.clone(),
        primary: email.primary,
        verified: false,
    }
}

fn phone_from_wire(phone: &v1::Phone) -> Phone {
    Phone {
        number: phone.number.clone(),
        e164: String::new(),
        region: phone.region.clone(),
        label: phone.label.clone(),
        primary: phone.primary,
    }
}

fn address_from_wire(address: &google::PostalAddress) -> PostalAddress {
    PostalAddress {
        revision: address.revision,
        region_code: address.region_code.clone(),
        language_code: address.language_code.clone(),
        postal_code: address.postal_code.clone(),
        sorting_code: address.sorting_code.clone(),
        administrative_area: address.administrative_area.clone(),
        locality: address.locality.clone(),
        sublocality: address.sublocality.clone(),
        address_lines: address.address_lines.clone(),
        recipients: address.recipients.clone(),
        organization: address.organization.clone(),
    }
}

fn source_from_wire(given: Option<&v1::Source>, referrer: String) -> Source {
    let Some(given) = given else {
        return Source::default();
    };
    let channel = source::Channel::try_from(given.channel).unwrap_or_default();
    let kind = source::ReferralKind::try_from(given.referral_kind).unwrap_or_default();
    Source {
        channel: Channel::from_word(word(channel.as_str_name(), "CHANNEL_")).unwrap_or_default(),
        campaign: given.campaign.clone(),
        referrer,
        referral_kind: ReferralKind::from_word(word(kind.as_str_name(), "REFERRAL_KIND_"))
            .unwrap_or_default(),
    }
}

fn qualification_from_wire(given: &v1::Qualification) -> Qualification {
    let verdict = qualification::Verdict::try_from(given.verdict).unwrap_or_default();
    Qualification {
        verdict: Verdict::from_word(word(verdict.as_str_name(), "VERDICT_")).unwrap_or_default(),
        checklist: given.checklist.clone(),
    }
}

/// A contact as callers see it.
pub fn message(contact: &Contact) -> v1::Contact {
    let facts = &contact.facts;
    let name = |id: &str| match id {
        "" => String::new(),
        id => ContactName::new(contact.name.workspace.clone(), id).to_string(),
    };
    v1::Contact {
        name: contact.name.to_string(),
        kind: kind_to_wire(facts.kind) as i32,
        display_name: facts.shown_name(),
        given_name: facts.given_name.clone(),
        family_name: facts.family_name.clone(),
        title: facts.title.clone(),
        company: name(&facts.company),
        emails: facts.emails.iter().map(email_to_wire).collect(),
        phones: facts.phones.iter().map(phone_to_wire).collect(),
        postal_addresses: facts.postal_addresses.iter().map(address_to_wire).collect(),
        urls: facts.urls.clone(),
        relationship_kinds: facts
            .relationship_kinds
            .iter()
            .map(|kind| relationship_kind_to_wire(*kind) as i32)
            .collect(),
        source: Some(v1::Source {
            channel: channel_to_wire(facts.source.channel) as i32,
            campaign: facts.source.campaign.clone(),
            referrer: name(&facts.source.referrer),
            referral_kind: referral_kind_to_wire(facts.source.referral_kind) as i32,
        }),
        interest: facts.interest.as_ref().map(|interest| v1::Interest {
            expressed_time: Some(timestamp_to_wire(interest.expressed_time)),
            evidence: interest.evidence.clone(),
        }),
        identity: facts.identity.as_ref().map(|identity| v1::Identity {
            verified_time: Some(timestamp_to_wire(identity.verified_time)),
            method: identity.method.clone(),
        }),
        qualification: facts.qualification.as_ref().map(|found| v1::Qualification {
            verdict: verdict_to_wire(found.verdict) as i32,
            checklist: found.checklist.clone(),
        }),
        owner: facts.owner.clone(),
        ready_to_buy: facts.ready_to_buy,
        next_step_due_time: facts.next_step_due_time.map(timestamp_to_wire),
        external_ids: facts.external_ids.iter().map(external_id_to_wire).collect(),
        tax_id: facts.tax_id.clone(),
        legal_name: facts.legal_name.clone(),
        labels: facts.labels.clone(),
        attributes: facts.attributes.as_ref().map(json::to_struct),
        note: facts.note.clone(),
        requested_stage: facts.requested_stage.clone(),
        stage: contact.position.stage.clone(),
        role: role_to_wire(contact.position.role) as i32,
        position_revision: contact.position.revision,
        state: state_to_wire(contact.state) as i32,
        merged_into: name(&contact.merged_into),
        etag: contact.etag(),
        creator: contact.creator.clone(),
        updater: contact.updater.clone(),
        create_time: Some(timestamp_to_wire(contact.create_time)),
        update_time: Some(timestamp_to_wire(contact.update_time)),
        delete_time: contact.delete_time.map(timestamp_to_wire),
        purge_time: contact.purge_time.map(timestamp_to_wire),
    }
}

fn external_id_to_wire(id: &ExternalId) -> v1::ExternalId {
    v1::ExternalId {
        system: id.system.clone(),
        id: id.id.clone(),
    }
}

fn email_to_wire(email: &Email) -> v1::Email {
    v1::Email {
        address: email.address.clone(),
        label: email.label.clone(),
        primary: email.primary,
        verified: email.verified,
    }
}

fn phone_to_wire(phone: &Phone) -> v1::Phone {
    v1::Phone {
        number: phone.number.clone(),
        e164: phone.e164.clone(),
        region: phone.region.clone(),
        label: phone.label.clone(),
        primary: phone.primary,
    }
}

fn address_to_wire(address: &PostalAddress) -> google::PostalAddress {
    google::PostalAddress {
        revision: address.revision,
        region_code: address.region_code.clone(),
        language_code: address.language_code.clone(),
        postal_code: address.postal_code.clone(),
        sorting_code: address.sorting_code.clone(),
        administrative_area: address.administrative_area.clone(),
        locality: address.locality.clone(),
        sublocality: address.sublocality.clone(),
        address_lines: address.address_lines.clone(),
        recipients: address.recipients.clone(),
        organization: address.organization.clone(),
    }
}
