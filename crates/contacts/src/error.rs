//! Why a call was not done, in the service's words and without its transport.
//!
//! `api::status` gives each its status in one match without a wildcard.

use store::change_log::LogPosition;
use store::filter::FilterError;
use store::order::OrderError;
use types::Micros;

use crate::domain::Faults;
use crate::domain::masks::MaskFault;

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Fields of the request break rules; the paths are those of the request.
    #[error("fields of the request are wrong")]
    Fields(Faults),
    /// There is no such resource, or not in a workspace that may be entered.
    #[error("{resource} does not exist")]
    NotFound {
        /// The resource's name as it was asked for.
        resource: String,
    },
    /// A resource of this name lives.
    #[error("{resource} exists")]
    Exists {
        /// The resource's name.
        resource: String,
    },
    /// The name is that of a contact that was removed for good.
    #[error("{resource} was the name of a contact that is purged")]
    NamePurged {
        /// The name.
        resource: String,
    },
    /// An external id belongs to another contact.
    #[error("an external id of {system} belongs to {existing}")]
    DuplicateIdentity {
        /// The name of the contact that has it.
        existing: String,
        /// The system of the id.
        system: String,
    },
    /// The update mask is empty.
    #[error("the update mask is empty")]
    MaskRequired,
    /// The update mask names what can't be changed.
    #[error("the update mask is wrong")]
    Mask(MaskFault),
    /// The resource has changed since its etag was read.
    #[error("{resource} has changed")]
    EtagMismatch {
        /// The resource's name.
        resource: String,
    },
    /// The resource is deleted, or being deleted.
    #[error("{resource} is deleted")]
    Deleted {
        /// The resource's name.
        resource: String,
    },
    /// The contact was merged into another one.
    #[error("{contact} was merged")]
    Merged {
        /// The contact's name.
        contact: String,
        /// The name of the other one.
        merged_into: String,
    },
    /// The contact is on its way to another state.
    #[error("{contact} is on its way to another state")]
    TransitionPending {
        /// The contact's name.
        contact: String,
        /// The state it goes to.
        to: &'static str,
        /// Since when.
        since: Micros,
    },
    /// The filter can't be read.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The order can't be read.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The consistency token is of a service that this one can't wait for, or of a lost epoch.
    #[error("the consistency token of {service} is foreign")]
    TokenForeign {
        /// The service that gave it out.
        service: &'static str,
    },
    /// What is to be read did not become fresh enough in time.
    #[error("what {service} told is not fresh enough yet")]
    NotFresh {
        /// The service that is waited for.
        service: &'static str,
    },
    /// The changes after a resume token are gone.
    #[error("the changes after the resume token are gone")]
    ResumeExpired {
        /// From where on they are kept.
        oldest: LogPosition,
    },
    /// The answer would have more bytes than clients read.
    #[error("the answer would have more than {limit_bytes} bytes")]
    AnswerTooLarge {
        /// The most bytes that an answer may have.
        limit_bytes: usize,
    },
    /// Only the suite's own followers may do this.
    #[error("only the suite's own services may do this")]
    InternalOnly {
        /// The permission that is missing.
        permission: &'static str,
    },
    /// The import's state forbids it.
    #[error("the import {import} is {state}")]
    ImportState {
        /// The import's name.
        import: String,
        /// Its state.
        state: &'static str,
        /// What would have to be done.
        problem: String,
    },
    /// A CSV file's columns are not those of a known program, and there is no mapping.
    #[error("the import needs a mapping")]
    ImportMapping {
        /// Why.
        problem: String,
        /// The columns of the file.
        columns: String,
    },
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// One field that is wrong.
    pub fn field(path: impl Into<String>, rule: &'static str, problem: impl Into<String>) -> Self {
        let mut faults = Faults::default();
        faults.push(path, rule, problem);
        Self::Fields(faults)
    }

    /// A resource that does not exist.
    pub fn not_found(resource: &impl ToString) -> Self {
        Self::NotFound {
            resource: resource.to_string(),
        }
    }
}
