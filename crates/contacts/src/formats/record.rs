//! A contact as contact files carry it: the input fields of `contacts.v1.Contact`, as plain text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attribute::Attributes;

/// The fields of a Contact that a record carries as text under their proto path, in the form of
/// proto JSON: an enum by its value without prefix, a time as RFC 3339, a bool as `true` or
/// `false`, the checklist as a JSON object.
pub const FACTS: [&str; 12] = [
    "source.channel",
    "source.campaign",
    "source.referrer",
    "source.referral_kind",
    "interest.expressed_time",
    "interest.evidence",
    "identity.verified_time",
    "identity.method",
    "qualification.verdict",
    "qualification.checklist",
    "ready_to_buy",
    "next_step_due_time",
];

/// One contact of a file. An empty text means that the file says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactRecord {
    /// The contact's own resource name; only in our own exports, where it tells who this is.
    pub name: String,
    /// Person, company or group, where the file says so.
    pub kind: Kind,
    /// The name people read; for a company its name.
    pub display_name: String,
    /// Given name, without further given names (those are an attribute).
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Position held at the organisation.
    pub title: String,
    /// The organisation as text; the caller finds or makes the company contact for it. Empty for a
    /// record that is itself a company.
    pub organization: String,
    /// E-mail addresses in the order of the file.
    pub emails: Vec<Email>,
    /// Phone numbers in the order of the file.
    pub phones: Vec<Phone>,
    /// Postal addresses in the order of the file.
    pub postal_addresses: Vec<PostalAddress>,
    /// Web pages in the order of the file.
    pub urls: Vec<String>,
    /// Relationship kinds by their enum value in lower case, such as `vendor`.
    pub relationship_kinds: Vec<String>,
    /// Who looks after the contact.
    pub owner: String,
    /// The tax number.
    pub tax_id: String,
    /// The name on invoices.
    pub legal_name: String,
    /// Free text.
    pub note: String,
    /// The stage to open the position in, as a stage id.
    pub requested_stage: String,
    /// Further fields by their path: keys are of [`FACTS`].
    pub facts: BTreeMap<String, String>,
    /// Keys in other systems.
    pub external_ids: Vec<ExternalId>,
    /// Labels: keys match `^[a-z][a-z0-9_-]{0,62}$`.
    pub labels: BTreeMap<String, String>,
    /// Everything else.
    pub attributes: Attributes,
}

/// What kind of party a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Not said.
    #[default]
    Unspecified,
    /// A natural person.
    Person,
    /// A legal entity.
    Company,
    /// Several people addressed as one.
    Group,
}

impl Kind {
    /// The kind as files name it; empty where not said.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Person => "person",
            Self::Company => "company",
            Self::Group => "group",
        }
    }

    /// Reads a kind, with the words that vCard and other programs use; None for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" => Some(Self::Unspecified),
            "person" | "individual" => Some(Self::Person),
            "company" | "org" | "organization" | "organisation" | "business" => Some(Self::Company),
            "group" => Some(Self::Group),
            _ => None,
        }
    }
}

/// An e-mail address of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// The address, valid by `domain::emails` when it comes from a file.
    pub address: String,
    /// What it is used for, such as `work`; several uses stand with commas between.
    pub label: String,
    /// Whether this is the one to write to.
    pub primary: bool,
}

/// A phone number of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phone {
    /// The number as typed.
    pub number: String,
    /// What it is used for, such as `mobile`; several uses stand with commas between.
    pub label: String,
    /// The region to read the number in, where the file says it explicitly.
    pub region: String,
    /// Whether this is the one to call.
    pub primary: bool,
}

/// A postal address of a record, field by field `google.type.PostalAddress`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostalAddress {
    /// ISO 3166-1 alpha-2; empty where the country is not known. The name of a country that has no
    /// known code is the last of `address_lines`.
    pub region_code: String,
    /// Language of the address, as in BCP 47.
    pub language_code: String,
    /// Postal code.
    pub postal_code: String,
    /// Sorting code.
    pub sorting_code: String,
    /// State, province or prefecture.
    pub administrative_area: String,
    /// City or town.
    pub locality: String,
    /// Part of a city.
    pub sublocality: String,
    /// The lines above the city, from the larger to the smaller as written: post box, building,
    /// street.
    pub address_lines: Vec<String>,
    /// Names at the address.
    pub recipients: Vec<String>,
    /// Organisation at the address.
    pub organization: String,
}

/// A key of a record in another system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalId {
    /// The other system; `vcard` for the UID of a card.
    pub system: String,
    /// The key there.
    pub id: String,
}

impl ContactRecord {
    /// Whether the record says who it is about: a name, an organisation, an address or a number.
    pub fn is_identified(&self) -> bool {
        !(self.display_name.is_empty()
            && self.given_name.is_empty()
            && self.family_name.is_empty()
            && self.organization.is_empty()
            && self.emails.is_empty()
            && self.phones.is_empty())
    }

    /// The name to show: the display name, else the given and family name, else the organisation,
    /// else the first e-mail address, else the first phone number.
    pub fn shown_name(&self) -> String {
        let person = [self.given_name.as_str(), self.family_name.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let candidates = [
            self.display_name.as_str(),
            &person,
            &self.organization,
            self.emails.first().map_or("", |email| &email.address),
            self.phones.first().map_or("", |phone| &phone.number),
        ];
        candidates
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned()
    }

    /// Draws the one conclusion that is safe: a record that names an organisation and nobody in it
    /// is that organisation. A company's name is its display name, so `organization` is emptied.
    pub(crate) fn settle_kind(&mut self) {
        let nobody = self.given_name.is_empty() && self.family_name.is_empty();
        let only_organization = !self.organization.is_empty()
            && (self.display_name == self.organization
                || (self.display_name.is_empty() && self.emails.is_empty()));
        if self.kind == Kind::Unspecified && nobody && only_organization {
            self.kind = Kind::Company;
        }
        if self.kind == Kind::Company {
            if self.display_name.is_empty() {
                self.display_name = std::mem::take(&mut self.organization);
            } else if self.display_name == self.organization {
                self.organization.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_without_a_person_is_a_company() {
        let mut record = ContactRecord {
            display_name: "Example Ltd".into(),
            organization: "Example Ltd".into(),
            ..ContactRecord::default()
        };
        record.settle_kind();
        assert_eq!(
            (record.kind, record.organization.as_str()),
            (Kind::Company, "")
        );
        let mut person = ContactRecord {
            display_name: "Ada".into(),
            organization: "Example Ltd".into(),
            ..ContactRecord::default()
        };
        person.settle_kind();
        assert_eq!(
            (person.kind, person.organization.as_str()),
            (Kind::Unspecified, "Example Ltd")
        );
    }
}
