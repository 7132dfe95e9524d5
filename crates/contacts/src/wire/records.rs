//! Between contacts and the records of contact files.
//!
//! A record of a file becomes a message and is then checked like any other; a contact becomes a
//! record to be written. What a contact has no field for stands in its attributes.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use proto::contacts::v1::{self, contact, qualification, source};
use proto::google::r#type as google;
use serde_json::Value;

use super::json;
use crate::domain::Faults;
use crate::formats::record::{ContactRecord, Email, ExternalId, Kind, Phone, PostalAddress};

/// The attribute under which the organisation of a record stands that is no contact here.
pub const ORGANIZATION: &str = "organization";

/// The message of a record, and what of it could not be taken over.
pub fn message(record: &ContactRecord, faults: &mut Faults) -> v1::Contact {
    let kind = match record.kind {
        Kind::Unspecified => contact::Kind::Unspecified,
        Kind::Person => contact::Kind::Person,
        Kind::Company => contact::Kind::Company,
        Kind::Group => contact::Kind::Group,
    };
    let mut attributes: serde_json::Map<String, Value> =
        record.attributes.clone().into_iter().collect();
    if !record.organization.is_empty() {
        let organization = Value::String(record.organization.clone());
        attributes.insert(ORGANIZATION.to_owned(), organization);
    }
    let mut message = v1::Contact {
        name: record.name.clone(),
        kind: kind as i32,
        display_name: record.display_name.clone(),
        given_name: record.given_name.clone(),
        family_name: record.family_name.clone(),
        title: record.title.clone(),
        emails: record.emails.iter().map(email_message).collect(),
        phones: record.phones.iter().map(phone_message).collect(),
        postal_addresses: record
            .postal_addresses
            .iter()
            .map(address_message)
            .collect(),
        urls: record.urls.clone(),
        owner: record.owner.clone(),
        external_ids: record
            .external_ids
            .iter()
            .map(|id| v1::ExternalId {
                system: id.system.clone(),
                id: id.id.clone(),
            })
            .collect(),
        tax_id: record.tax_id.clone(),
        legal_name: record.legal_name.clone(),
        labels: record.labels.clone(),
        attributes: (!attributes.is_empty()).then(|| json::to_struct(&attributes)),
        note: record.note.clone(),
        requested_stage: record.requested_stage.clone(),
        ..v1::Contact::default()
    };
    for kind in &record.relationship_kinds {
        let name = format!("RELATIONSHIP_KIND_{}", kind.to_uppercase());
        match contact::RelationshipKind::from_str_name(&name) {
            Some(kind) if !message.relationship_kinds.contains(&(kind as i32)) => {
                message.relationship_kinds.push(kind as i32);
            }
            Some(_) => {}
            None => faults.push("relationship_kinds", "enum.defined_only", "is unknown"),
        }
    }
    for (path, text) in &record.facts {
        if !take_fact(&mut message, path, text) {
            faults.push(path.clone(), "record.fact", "can't be read");
        }
    }
    message
}

fn email_message(email: &Email) -> v1::Email {
    v1::Email {
        address: email.address.clone(),
        label: email.label.clone(),
        primary: email.primary,
        verified: false,
    }
}

fn phone_message(phone: &Phone) -> v1::Phone {
    v1::Phone {
        number: phone.number.clone(),
        e164: String::new(),
        region: phone.region.clone(),
        label: phone.label.clone(),
        primary: phone.primary,
    }
}

fn address_message(address: &PostalAddress) -> google::PostalAddress {
    google::PostalAddress {
        revision: 0,
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

/// Takes over a field that records carry as text; false where it can't be read.
fn take_fact(message: &mut v1::Contact, path: &str, text: &str) -> bool {
    let moment = || text.parse::<Timestamp>().ok();
    let source = || v1::Source::default();
    match path {
        "source.channel" => {
            let name = format!("CHANNEL_{text}");
            let Some(channel) = source::Channel::from_str_name(&name) else {
                return false;
            };
            message.source.get_or_insert_with(source).channel = channel as i32;
        }
        "source.campaign" => {
            text.clone_into(&mut message.source.get_or_insert_with(source).campaign);
        }
        "source.referrer" => {
            text.clone_into(&mut message.source.get_or_insert_with(source).referrer);
        }
        "source.referral_kind" => {
            let name = format!("REFERRAL_KIND_{text}");
            let Some(kind) = source::ReferralKind::from_str_name(&name) else {
                return false;
            };
            message.source.get_or_insert_with(source).referral_kind = kind as i32;
        }
        "interest.expressed_time" => {
            let interest = message.interest.get_or_insert_default();
            interest.expressed_time = moment();
            return interest.expressed_time.is_some();
        }
        "interest.evidence" => {
            text.clone_into(&mut message.interest.get_or_insert_default().evidence);
        }
        "identity.verified_time" => {
            let identity = message.identity.get_or_insert_default();
            identity.verified_time = moment();
            return identity.verified_time.is_some();
        }
        "identity.method" => {
            text.clone_into(&mut message.identity.get_or_insert_default().method);
        }
        "qualification.verdict" => {
            let name = format!("VERDICT_{text}");
            let Some(verdict) = qualification::Verdict::from_str_name(&name) else {
                return false;
            };
            message.qualification.get_or_insert_default().verdict = verdict as i32;
        }
        "qualification.checklist" => {
            let Ok(checklist) = serde_json::from_str(text) else {
                return false;
            };
            message.qualification.get_or_insert_default().checklist = checklist;
        }
        "ready_to_buy" => {
            message.ready_to_buy = text == "true";
            return matches!(text, "true" | "false");
        }
        "next_step_due_time" => {
            message.next_step_due_time = moment();
            return message.next_step_due_time.is_some();
        }
        _ => return false,
    }
    true
}

/// The record of a contact, with the display name of its company where it has one.
pub fn record(message: &v1::Contact, company: Option<&str>) -> ContactRecord {
    let kind = match message.kind() {
        contact::Kind::Unspecified => Kind::Unspecified,
        contact::Kind::Person => Kind::Person,
        contact::Kind::Company => Kind::Company,
        contact::Kind::Group => Kind::Group,
    };
    let attributes = message.attributes.as_ref().and_then(json::from_struct);
    let mut attributes: BTreeMap<String, Value> =
        attributes.unwrap_or_default().into_iter().collect();
    let organization = match (company, attributes.get(ORGANIZATION)) {
        (Some(company), _) => company.to_owned(),
        (None, Some(Value::String(organization))) if kind != Kind::Company => {
            let organization = organization.clone();
            attributes.remove(ORGANIZATION);
            organization
        }
        (None, _) => String::new(),
    };
    ContactRecord {
        name: message.name.clone(),
        kind,
        display_name: message.display_name.clone(),
        given_name: message.given_name.clone(),
        family_name: message.family_name.clone(),
        title: message.title.clone(),
        organization,
        emails: message.emails.iter().map(email_record).collect(),
        phones: message.phones.iter().map(phone_record).collect(),
        postal_addresses: message
            .postal_addresses
            .iter()
            .map(address_record)
            .collect(),
        urls: message.urls.clone(),
        relationship_kinds: message
            .relationship_kinds()
            .map(|kind| super::word(kind.as_str_name(), "RELATIONSHIP_KIND_").to_lowercase())
            .collect(),
        owner: message.owner.clone(),
        tax_id: message.tax_id.clone(),
        legal_name: message.legal_name.clone(),
        note: message.note.clone(),
        requested_stage: message.requested_stage.clone(),
        facts: facts(message),
        external_ids: message
            .external_ids
            .iter()
            .map(|id| ExternalId {
                system: id.system.clone(),
                id: id.id.clone(),
            })
            .collect(),
        labels: message.labels.clone(),
        attributes,
    }
}

fn email_record(email: &v1::Email) -> Email {
    Email {
        address: email.address.clone(),
        label: email.label.clone(),
        primary: email.primary,
    }
}

fn phone_record(phone: &v1::Phone) -> Phone {
    Phone {
        number: phone.number.clone(),
        label: phone.label.clone(),
        region: phone.region.clone(),
        primary: phone.primary,
    }
}

fn address_record(address: &google::PostalAddress) -> PostalAddress {
    PostalAddress {
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

/// The fields that records carry as text, where they say something.
fn facts(message: &v1::Contact) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut put = |path: &str, text: String| {
        if !text.is_empty() {
            facts.insert(path.to_owned(), text);
        }
    };
    let said = |word: &str| match word {
        "UNSPECIFIED" => String::new(),
        word => word.to_owned(),
    };
    if let Some(source) = &message.source {
        put(
            "source.channel",
            said(super::word(source.channel().as_str_name(), "CHANNEL_")),
        );
        put("source.campaign", source.campaign.clone());
        put("source.referrer", source.referrer.clone());
        let kind = source.referral_kind();
        put(
            "source.referral_kind",
            said(super::word(kind.as_str_name(), "REFERRAL_KIND_")),
        );
    }
    if let Some(interest) = &message.interest {
        put(
            "interest.expressed_time",
            text_of(interest.expressed_time.as_ref()),
        );
        put("interest.evidence", interest.evidence.clone());
    }
    if let Some(identity) = &message.identity {
        put(
            "identity.verified_time",
            text_of(identity.verified_time.as_ref()),
        );
        put("identity.method", identity.method.clone());
    }
    if let Some(found) = &message.qualification {
        put(
            "qualification.verdict",
            said(super::word(found.verdict().as_str_name(), "VERDICT_")),
        );
        if !found.checklist.is_empty() {
            let checklist = serde_json::to_string(&found.checklist).unwrap_or_default();
            put("qualification.checklist", checklist);
        }
    }
    if message.ready_to_buy {
        put("ready_to_buy", "true".to_owned());
    }
    put(
        "next_step_due_time",
        text_of(message.next_step_due_time.as_ref()),
    );
    facts
}

fn text_of(at: Option<&Timestamp>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::record::FACTS;

    #[test]
    fn every_fact_comes_back() {
        let texts = [
            ("source.channel", "EVENT"),
            ("source.campaign", "spring"),
            ("source.referrer", "workspaces/w/contacts/al"),
            ("source.referral_kind", "BUSINESS"),
            ("interest.expressed_time", "2026-01-31T09:30:00Z"),
            ("interest.evidence", "asked"),
            ("identity.verified_time", "2026-01-31T09:30:00.500Z"),
            ("identity.method", "called back"),
            ("qualification.verdict", "QUALIFIED"),
            ("qualification.checklist", r#"{"budget":true}"#),
            ("ready_to_buy", "true"),
            ("next_step_due_time", "2026-02-01T00:00:00Z"),
        ];
        assert_eq!(texts.map(|(path, _)| path), FACTS);
        let given = ContactRecord {
            facts: texts
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
            organization: "Example Ltd".into(),
            ..ContactRecord::default()
        };
        let mut faults = Faults::default();
        let message = message(&given, &mut faults);
        assert_eq!(faults, Faults::default());
        assert_eq!(record(&message, None), given);
        for path in FACTS.iter().filter(|path| !path.ends_with("campaign")) {
            let junk = ContactRecord {
                facts: [((*path).to_owned(), "?".to_owned())].into(),
                ..ContactRecord::default()
            };
            let texts_too = ["source.referrer", "interest.evidence", "identity.method"];
            let mut faults = Faults::default();
            super::message(&junk, &mut faults);
            assert_eq!(faults.0.is_empty(), texts_too.contains(path), "{path}");
        }
    }
}
