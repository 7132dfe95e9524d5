//! A contact of the directory, as decisions are made on it.

use policy::company::Kind;
use policy::{
    Attribute, ContactFacts, Facts, IdentityFacts, InterestFacts, QualificationFacts, SourceFacts,
};
use prost_types::Timestamp;
use prost_types::value::Kind as Value;
use proto::contacts::v1::{self, contact, qualification, source};
use proto::convert::timestamp_from_wire;
use types::{ContactName, Micros};

use crate::domain::contacts::{Contact, Presence, Subject};

/// The contact; `None` where it lacks what every contact has.
pub fn contact(wire: &v1::Contact) -> Option<Contact> {
    let name: ContactName = wire.name.parse().ok()?;
    Some(Contact {
        name,
        kind: match wire.kind() {
            contact::Kind::Company => Kind::Company,
            contact::Kind::Group => Kind::Group,
            contact::Kind::Person | contact::Kind::Unspecified => Kind::Person,
        },
        presence: match wire.state() {
            contact::State::Active | contact::State::Unspecified => Presence::Active,
            contact::State::Deleting => Presence::Deleting,
            contact::State::Deleted => Presence::Deleted,
            contact::State::Merging => Presence::Merging,
            contact::State::Merged => Presence::Merged,
        },
        facts: Facts {
            contact: facts(wire),
            ..Facts::default()
        },
        requested_stage: wire.requested_stage.clone(),
        imported: wire
            .source
            .as_ref()
            .is_some_and(|source| source.channel() == source::Channel::Import),
        company: wire.company.clone(),
        merged_into: wire.merged_into.clone(),
        creator: wire.creator.clone(),
        updater: wire.updater.clone(),
        etag: wire.etag.clone(),
        create_time: instant(wire.create_time.as_ref()).unwrap_or_default(),
        update_time: instant(wire.update_time.as_ref()).unwrap_or_default(),
        subject: subject(wire),
    })
}

fn instant(timestamp: Option<&Timestamp>) -> Option<Micros> {
    timestamp.and_then(|timestamp| timestamp_from_wire(timestamp).ok())
}

fn facts(wire: &v1::Contact) -> ContactFacts {
    ContactFacts {
        kind: match wire.kind() {
            contact::Kind::Company => "COMPANY",
            contact::Kind::Group => "GROUP",
            contact::Kind::Person | contact::Kind::Unspecified => "PERSON",
        }
        .to_owned(),
        has_email: !wire.emails.is_empty(),
        email_verified: wire.emails.iter().any(|email| email.verified),
        has_phone: !wire.phones.is_empty(),
        has_company: !wire.company.is_empty(),
        source: wire.source.as_ref().map_or_else(direct, source_facts),
        interest: wire
            .interest
            .as_ref()
            .map_or_else(InterestFacts::default, |interest| InterestFacts {
                expressed_time: instant(interest.expressed_time.as_ref()),
                evidence: interest.evidence.clone(),
            }),
        identity: wire
            .identity
            .as_ref()
            .map_or_else(IdentityFacts::default, |identity| IdentityFacts {
                verified_time: instant(identity.verified_time.as_ref()),
                method: identity.method.clone(),
            }),
        qualification: wire
            .qualification
            .as_ref()
            .map(qualification_facts)
            .unwrap_or_default(),
        owner: wire.owner.clone(),
        ready_to_buy: wire.ready_to_buy,
        next_step_due: instant(wire.next_step_due_time.as_ref()),
        relationship_kinds: wire
            .relationship_kinds()
            .map(|kind| bare(kind.as_str_name(), "RELATIONSHIP_KIND_"))
            .collect(),
        labels: wire.labels.clone().into_iter().collect(),
        attributes: wire
            .attributes
            .iter()
            .flat_map(|attributes| &attributes.fields)
            .filter_map(|(name, value)| Some((name.clone(), attribute(value.kind.as_ref()?)?)))
            .collect(),
    }
}

fn direct() -> SourceFacts {
    SourceFacts {
        channel: "DIRECT".to_owned(),
        ..SourceFacts::default()
    }
}

fn source_facts(source: &v1::Source) -> SourceFacts {
    SourceFacts {
        channel: match source.channel() {
            source::Channel::Unspecified => "DIRECT".to_owned(),
            channel => bare(channel.as_str_name(), "CHANNEL_"),
        },
        campaign: source.campaign.clone(),
        referrer: source.referrer.clone(),
        referral_kind: match source.referral_kind() {
            source::ReferralKind::Unspecified => String::new(),
            kind => bare(kind.as_str_name(), "REFERRAL_KIND_"),
        },
    }
}

fn qualification_facts(wire: &v1::Qualification) -> QualificationFacts {
    QualificationFacts {
        verdict: match wire.verdict() {
            qualification::Verdict::Unspecified => String::new(),
            verdict => bare(verdict.as_str_name(), "VERDICT_"),
        },
        checklist: wire.checklist.clone().into_iter().collect(),
    }
}

/// An enum value's name without the prefix that the protos need.
fn bare(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

/// What guards can read of an attribute: nested objects and nulls are left out.
fn attribute(value: &Value) -> Option<Attribute> {
    match value {
        Value::BoolValue(value) => Some(Attribute::Bool(*value)),
        Value::NumberValue(value) => Some(Attribute::Number(*value)),
        Value::StringValue(value) => Some(Attribute::Text(value.clone())),
        Value::ListValue(list) => list
            .values
            .iter()
            .map(|value| match &value.kind {
                Some(Value::StringValue(text)) => Some(text.clone()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Attribute::List),
        Value::NullValue(_) | Value::StructValue(_) => None,
    }
}

fn subject(wire: &v1::Contact) -> Subject {
    let primary = wire
        .emails
        .iter()
        .find(|email| email.primary)
        .or(wire.emails.first());
    Subject {
        display_name: wire.display_name.clone(),
        legal_name: wire.legal_name.clone(),
        postal_addresses: wire.postal_addresses.clone(),
        tax_id: wire.tax_id.clone(),
        email: primary
            .map(|email| email.address.clone())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_reads_as_the_protos_promise() {
        let wire = v1::Contact {
            name: "workspaces/default/contacts/ada".into(),
            ..v1::Contact::default()
        };
        let contact = contact(&wire).expect("a contact");
        let facts = &contact.facts.contact;
        assert_eq!(
            (facts.kind.as_str(), facts.source.channel.as_str()),
            ("PERSON", "DIRECT")
        );
        assert!(!facts.has_email && facts.qualification.verdict.is_empty());
        assert_eq!(contact.presence, Presence::Active);
    }

    #[test]
    fn enum_values_are_their_names_without_the_prefix() {
        let wire = v1::Contact {
            name: "workspaces/default/contacts/ada".into(),
            kind: contact::Kind::Company as i32,
            relationship_kinds: vec![
                contact::RelationshipKind::Vendor as i32,
                contact::RelationshipKind::Adviser as i32,
            ],
            source: Some(v1::Source {
                channel: source::Channel::TradeShow as i32,
                referral_kind: source::ReferralKind::OwnerRelation as i32,
                ..v1::Source::default()
            }),
            qualification: Some(v1::Qualification {
                verdict: qualification::Verdict::Qualified as i32,
                ..v1::Qualification::default()
            }),
            ..v1::Contact::default()
        };
        let contact = contact(&wire).expect("a contact");
        let facts = contact.facts.contact;
        assert_eq!(facts.kind, "COMPANY");
        assert_eq!(facts.relationship_kinds, ["VENDOR", "ADVISER"]);
        assert_eq!(facts.source.channel, "TRADE_SHOW");
        assert_eq!(facts.source.referral_kind, "OWNER_RELATION");
        assert_eq!(facts.qualification.verdict, "QUALIFIED");
    }
}
