//! A contact as the directory told it: what decisions are made on.

use policy::Facts;
use policy::company::Kind;
use types::{ContactName, Micros};

/// Whether the directory still has a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Active,
    /// Its deletion was accepted and waits for us.
    Deleting,
    /// It is deleted.
    Deleted,
    /// It is being merged into another.
    Merging,
    /// It was merged into another.
    Merged,
    /// The directory does not know it: nothing but its name can be told of it.
    Absent,
}

/// A contact at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// Its name.
    pub name: ContactName,
    /// Person, company or group.
    pub kind: Kind,
    /// Whether it is still there.
    pub presence: Presence,
    /// What policies may read.
    pub facts: Facts,
    /// The stage that was asked for at creation or import; empty for none.
    pub requested_stage: String,
    /// Whether it was imported.
    pub imported: bool,
    /// The name of its company; empty for none.
    pub company: String,
    /// The contact it was merged into; empty for none.
    pub merged_into: String,
    /// Who created it.
    pub creator: String,
    /// Who changed it last.
    pub updater: String,
    /// Its etag in the directory.
    pub etag: String,
    /// When it was created.
    pub create_time: Micros,
    /// When it was changed last: of two readings the later is the fresher.
    pub update_time: Micros,
    /// Who it is, as far as a document needs it.
    pub subject: Subject,
}

impl Contact {
    /// A contact of which the directory knows nothing.
    pub fn absent(name: ContactName, now: Micros) -> Self {
        Self {
            name,
            kind: Kind::Person,
            presence: Presence::Absent,
            facts: Facts::default(),
            requested_stage: String::new(),
            imported: false,
            company: String::new(),
            merged_into: String::new(),
            creator: String::new(),
            updater: policy::POLICY_ACTOR.to_owned(),
            etag: String::new(),
            create_time: now,
            update_time: now,
            subject: Subject::default(),
        }
    }

    /// Whether it is there and belongs to this company, as a person or a group.
    pub fn is_person_of(&self, company: &ContactName) -> bool {
        self.presence == Presence::Active
            && self.kind != Kind::Company
            && self.company == company.to_string()
    }
}

/// Who a contact is, as far as a document needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// The name people read.
    pub display_name: String,
    /// The name for documents.
    pub legal_name: String,
    /// Addresses, the first for invoices; passed through as they came.
    pub postal_addresses: Vec<proto::google::r#type::PostalAddress>,
    /// The tax number.
    pub tax_id: String,
    /// The primary e-mail address.
    pub email: String,
}
