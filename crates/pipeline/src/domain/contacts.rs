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
