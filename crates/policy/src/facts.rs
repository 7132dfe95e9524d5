//! What is known about a contact when a decision is made.
//!
//! Invariant: facts are values. They are read fresh for each decision by whoever asks; nothing here
//! fetches, caches or defaults to something that was true earlier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::Micros;

/// Everything that expressions may read besides the position, the activity and the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The contact's own fields.
    pub contact: ContactFacts,
    /// What has happened with the contact; empty until the activity service comes.
    pub engagement: Engagement,
    /// The contact's opportunity; empty until the opportunity service comes.
    pub opportunity: OpportunityFacts,
}

/// The fields of a contact that policies may read. Enum values are their names without prefix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact that an expression reads by its own name"
)]
pub struct ContactFacts {
    /// PERSON, COMPANY or GROUP.
    pub kind: String,
    /// Whether an e-mail address is known.
    pub has_email: bool,
    /// Whether one is verified.
    pub email_verified: bool,
    /// Whether a phone number is known.
    pub has_phone: bool,
    /// Whether it belongs to a company.
    #[serde(default)]
    pub has_company: bool,
    /// Where the contact came from.
    pub source: SourceFacts,
    /// The interest it expressed.
    pub interest: InterestFacts,
    /// How its identity was verified.
    pub identity: IdentityFacts,
    /// What qualifying it found.
    pub qualification: QualificationFacts,
    /// Who looks after it; empty for nobody.
    pub owner: String,
    /// Whether it is ready to buy.
    pub ready_to_buy: bool,
    /// When the next step with it is due.
    #[serde(with = "micros::option", default)]
    pub next_step_due: Option<Micros>,
    /// CUSTOMER, VENDOR, SUPPLIER, PARTNER, INVESTOR, EMPLOYEE, ADVISER.
    pub relationship_kinds: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Attributes by name; what they are read as is for the workspace's field declarations to say.
    pub attributes: BTreeMap<String, Attribute>,
}

/// Where a contact came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// FORM, REFERRAL, EVENT, AD, SOCIAL, TRADE_SHOW, IMPORT, CALL, DIRECT.
    pub channel: String,
    /// The campaign, or empty.
    pub campaign: String,
    /// The name of the contact who referred it, or empty.
    pub referrer: String,
    /// OWNER_RELATION, BUSINESS, or empty.
    pub referral_kind: String,
}

/// The interest that a contact expressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterestFacts {
    /// When; `None` while it has expressed none.
    #[serde(with = "micros::option", default)]
    pub expressed_time: Option<Micros>,
    /// How, in words.
    pub evidence: String,
}

/// How a contact's identity was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityFacts {
    /// When; `None` while it is not verified.
    #[serde(with = "micros::option", default)]
    pub verified_time: Option<Micros>,
    /// By what means.
    pub method: String,
}

/// What qualifying a contact found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualificationFacts {
    /// QUALIFIED, DISQUALIFIED, or empty while nobody judged.
    pub verdict: String,
    /// What was checked, and whether it was so.
    pub checklist: BTreeMap<String, bool>,
}

/// A contact's opportunity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpportunityFacts {
    /// OPEN, WON, LOST, or empty where there is none.
    pub state: String,
    /// Its amount in minor units of the currency.
    pub amount: i64,
    /// The amount's currency, ISO 4217, or empty.
    pub currency: String,
}

/// What has happened with a contact, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engagement {
    /// Calls, either way.
    pub calls: u32,
    /// Mails sent to the contact.
    pub mails_out: u32,
    /// Helpful mails sent to the contact since it entered its stage.
    pub helpful_mails_since_entry: u32,
    /// Bookings.
    pub bookings: u32,
    /// Purchases.
    pub purchases: u32,
    /// When the last activity occurred.
    #[serde(with = "micros::option", default)]
    pub last_activity: Option<Micros>,
}

/// The value of an attribute, as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text; also a moment (RFC 3339) or a span of seconds (`90s`), where so declared.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Something that happened with a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Unique per contact; orders activities that occurred at one instant.
    pub id: String,
    /// When it occurred, which may be long before it was recorded.
    #[serde(with = "micros")]
    pub time: Micros,
    /// CALL, MAIL, MEETING, FORM, VISIT, OPEN, DOWNLOAD, BOOKING, PURCHASE, ...
    pub kind: String,
    /// NOT_NOW, VOICEMAIL, AGREED, ... or empty.
    pub outcome: String,
    /// How long it took, in microseconds; 0 where that means nothing.
    pub duration_micros: i64,
    /// INBOUND, OUTBOUND, or empty.
    pub direction: String,
    /// Whether it helped the contact rather than sold something.
    pub helpful: bool,
    /// The name of the contact who brought it about, or empty.
    pub referrer: String,
}

impl Engagement {
    /// Counts `activity` in. Kinds that nothing is counted of only move `last_activity`.
    pub fn count(&mut self, activity: &Activity) {
        match activity.kind.as_str() {
            "CALL" => self.calls = self.calls.saturating_add(1),
            "MAIL" if activity.direction == "OUTBOUND" => {
                self.mails_out = self.mails_out.saturating_add(1);
                if activity.helpful {
                    self.helpful_mails_since_entry =
                        self.helpful_mails_since_entry.saturating_add(1);
                }
            }
            "BOOKING" => self.bookings = self.bookings.saturating_add(1),
            "PURCHASE" => self.purchases = self.purchases.saturating_add(1),
            _ => {}
        }
        self.last_activity = self.last_activity.max(Some(activity.time));
    }
}

/// Instants as whole microseconds.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer};
    use types::Micros;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands a reference to a `with` module"
    )]
    pub fn serialize<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
        i64::deserialize(deserializer).map(Micros)
    }

    pub mod option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};
        use types::Micros;

        #[expect(
            clippy::ref_option,
            reason = "serde hands a reference to a `with` module"
        )]
        pub fn serialize<S: Serializer>(
            time: &Option<Micros>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            time.map(|time| time.0).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Micros>, D::Error> {
            Ok(Option::<i64>::deserialize(deserializer)?.map(Micros))
        }
    }
}
