//! What is known about a contact: everything that people and programs say about it.
//!
//! The facts are stored as one JSON document, whose form is this module's: fields are only ever
//! added, a field that says nothing is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::Micros;

use super::words::words;

words!(
    /// What kind of party a contact is.
    Kind {
        "A natural person." Person = "PERSON",
        "A legal entity; other contacts may name it as their company." Company = "COMPANY",
        "Several people addressed as one." Group = "GROUP",
    }
);

words!(
    /// What somebody is to the workspace, apart from where they stand.
    RelationshipKind {
        "Buys, or may." Customer = "CUSTOMER",
        "Sells to the workspace." Vendor = "VENDOR",
        "Supplies the workspace." Supplier = "SUPPLIER",
        "Works alongside the workspace." Partner = "PARTNER",
        "Has put money into the workspace." Investor = "INVESTOR",
        "Works for the workspace." Employee = "EMPLOYEE",
        "Gives advice and information." Adviser = "ADVISER",
    }
);

words!(
    /// The way by which a contact was met.
    Channel {
        "Was entered by hand; what holds where nothing is said." Direct = "DIRECT",
        "Filled in a form." Form = "FORM",
        "Was referred by somebody." Referral = "REFERRAL",
        "Was met at, or signed up for, an event." Event = "EVENT",
        "Answered an advertisement." Ad = "AD",
        "Came from social media." Social = "SOCIAL",
        "Was met at a trade show." TradeShow = "TRADE_SHOW",
        "Was imported from a file." Import = "IMPORT",
        "Called." Call = "CALL",
    }
);

words!(
    /// Who made a referral.
    ReferralKind {
        "Not said, or no referral." Unsaid = "UNSPECIFIED",
        "Somebody who has a relationship with the owner." OwnerRelation = "OWNER_RELATION",
        "Another business." Business = "BUSINESS",
    }
);

words!(
    /// A judgement on whether a contact qualifies as a buyer.
    Verdict {
        "Not judged." Open = "UNSPECIFIED",
        "Qualifies." Qualified = "QUALIFIED",
        "Does not qualify." Disqualified = "DISQUALIFIED",
    }
);

/// Everything that is known about a contact. References hold ids in the contact's own workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Person, company or group.
    pub kind: Kind,
    /// The name people read, where it was given; see [`Facts::shown_name`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The given name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub given_name: String,
    /// The family name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub family_name: String,
    /// The position held at the company.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The id of the company's contact; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub company: String,
    /// E-mail addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Email>,
    /// Phone numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<Phone>,
    /// Postal addresses, the first one for letters and invoices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postal_addresses: Vec<PostalAddress>,
    /// Web pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What the contact is to the workspace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relationship_kinds: Vec<RelationshipKind>,
    /// Where the contact came from.
    pub source: Source,
    /// The interest expressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interest: Option<Interest>,
    /// How it was made sure that the contact is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether the contact qualifies as a buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualification: Option<Qualification>,
    /// Who looks after the contact.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Whether the contact has said that they are ready to buy.
    #[serde(skip_serializing_if = "is_false")]
    pub ready_to_buy: bool,
    /// When the next planned step is due.
    #[serde(with = "instant::maybe", skip_serializing_if = "Option::is_none")]
    pub next_step_due_time: Option<Micros>,
    /// Keys in other systems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// The tax number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tax_id: String,
    /// The name on invoices.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub legal_name: String,
    /// Short marks to filter by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Further fields of the workspace's own; `None` where the field was not given at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The stage that the position was asked to open in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub requested_stage: String,
}

/// An e-mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Email {
    /// The address, its domain in lower case.
    pub address: String,
    /// What it is used for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Whether this is the one to write to.
    #[serde(skip_serializing_if = "is_false")]
    pub primary: bool,
    /// Whether the address was proven to reach the contact.
    #[serde(skip_serializing_if = "is_false")]
    pub verified: bool,
}

/// A phone number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phone {
    /// The number as typed.
    pub number: String,
    /// The number in E.164 form; empty where its country is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub e164: String,
    /// The region to read the number in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// What it is used for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Whether this is the one to call.
    #[serde(skip_serializing_if = "is_false")]
    pub primary: bool,
}

/// A postal address, field by field as `google.type.PostalAddress`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the public proto")]
pub struct PostalAddress {
    #[serde(skip_serializing_if = "is_zero")]
    pub revision: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub postal_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sorting_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub administrative_area: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub locality: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sublocality: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub address_lines: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organization: String,
}

/// Where a contact came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The way by which the contact was met.
    pub channel: Channel,
    /// The campaign it belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub campaign: String,
    /// The id of the contact who made the referral; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub referrer: String,
    /// What the referrer is to the owner.
    pub referral_kind: ReferralKind,
}

/// An interest that a contact has expressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interest {
    /// When.
    #[serde(with = "instant")]
    pub expressed_time: Micros,
    /// How.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

/// How it was made sure that a contact is real.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// When.
    #[serde(with = "instant")]
    pub verified_time: Micros,
    /// By what means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
}

/// A judgement on whether a contact qualifies as a buyer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Qualification {
    /// The judgement.
    pub verdict: Verdict,
    /// What was checked, and whether it was found so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checklist: BTreeMap<String, bool>,
}

/// A contact's key in another system.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalId {
    /// The other system.
    pub system: String,
    /// The key there.
    pub id: String,
}

impl Facts {
    /// The name people read: the one given, else the given and family name, else the first e-mail
    /// address, else the first phone number.
    pub fn shown_name(&self) -> String {
        if !self.display_name.is_empty() {
            return self.display_name.clone();
        }
        let parts = [self.given_name.as_str(), self.family_name.as_str()];
        let person = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if !person.is_empty() {
            return person;
        }
        let email = self.emails.first().map(|email| email.address.clone());
        let phone = || self.phones.first().map(|phone| phone.number.clone());
        email.or_else(phone).unwrap_or_default()
    }
}

impl Phone {
    /// The form in which numbers are compared: the E.164 form, else the digits and plus signs as
    /// typed.
    pub fn lookup_key(&self) -> String {
        if self.e164.is_empty() {
            digits(&self.number)
        } else {
            self.e164.clone()
        }
    }
}

/// The digits and plus signs of a text.
pub fn digits(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_digit() || *c == '+')
        .collect()
}

/// The form in which names are compared and sorted: lower case.
pub fn folded(text: &str) -> String {
    text.to_lowercase()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

/// Instants as whole microseconds since the epoch.
mod instant {
    use serde::{Deserialize, Deserializer, Serializer};
    use types::Micros;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    pub fn serialize<S: Serializer>(at: &Micros, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Micros, D::Error> {
        i64::deserialize(from).map(Micros)
    }

    /// The same for one that may be absent.
    pub mod maybe {
        use serde::{Deserialize, Deserializer, Serializer};
        use types::Micros;

        #[expect(clippy::ref_option, reason = "serde hands over a reference")]
        pub fn serialize<S: Serializer>(at: &Option<Micros>, to: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => to.serialize_some(&at.0),
                None => to.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Micros>, D::Error> {
            Option::<i64>::deserialize(from).map(|at| at.map(Micros))
        }
    }
}
