//! Everything that can keep a use case from doing what was asked. It knows no transport;
//! `api/status.rs` says what each looks like on the wire.

use ::store::filter::FilterError;
use ::store::order::OrderError;
use types::{ContactName, Role};

use crate::domain::faults::Faults;
use crate::domain::identities::Rule;

/// The contact's stage does not entitle it to what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The contact.
    pub contact: ContactName,
    /// The stage it stands in; empty without a position.
    pub stage: String,
    /// The stage's role.
    pub role: Option<Role>,
    /// What is missing.
    pub entitlement: &'static str,
    /// The policy revision that says so.
    pub policy_revision: String,
}

/// A kind of resource, as `google.api.resource` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `clientele.dev/Invoice`.
    Invoice,
    /// `clientele.dev/Project`.
    Project,
    /// `clientele.dev/Assignment`.
    Assignment,
    /// `clientele.dev/Contact`.
    Contact,
}

/// Why a use case did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Fields of the request are wrong.
    Invalid(Faults),
    /// The filter can't be read.
    Filter(FilterError),
    /// The order can't be read.
    OrderBy(OrderError),
    /// No field to change was named.
    UpdateMaskRequired,
    /// The mask names what can't be changed.
    UpdateMaskInvalid {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A token was given out in another life of this database, or is no consistency token.
    ConsistencyTokenForeign,
    /// There is no such resource.
    NotFound {
        /// What it would be.
        kind: Kind,
        /// Its name.
        resource: String,
    },
    /// There is one already.
    Exists {
        /// What it is.
        kind: Kind,
        /// Its name.
        resource: String,
    },
    /// The contact is not entitled.
    EntitlementMissing(Box<Missing>),
    /// The contact was merged into another one.
    ContactMerged {
        /// The contact.
        contact: ContactName,
        /// The one to use instead.
        merged_into: String,
    },
    /// The contact is deleted.
    ContactDeleted {
        /// The contact.
        contact: ContactName,
    },
    /// The contact is leaving its stage.
    TransitionPending {
        /// The contact.
        contact: ContactName,
        /// Where it goes.
        to: String,
        /// Since when, as pipeline says it.
        since: String,
    },
    /// An amount is in another currency than its document.
    CurrencyMismatch {
        /// The field.
        field: String,
        /// The document's currency.
        expected: String,
        /// The amount's.
        found: String,
    },
    /// The invoice is issued and never changes.
    InvoiceIssued {
        /// Its name.
        invoice: String,
    },
    /// The draft can't be issued as it stands.
    InvoiceIncomplete {
        /// Its name.
        invoice: String,
        /// What to change in it; fields are those of the invoice.
        lacking: Faults,
    },
    /// The project is closed; nobody is assigned any more.
    ProjectClosed {
        /// Its name.
        project: String,
    },
    /// The resource has changed since it was read.
    EtagMismatch {
        /// Its name.
        resource: String,
    },
    /// Grants came and went faster than they could be used.
    ConcurrentUpdate {
        /// The contact.
        resource: String,
    },
    /// Pipeline does not know this holder in its present epoch: it has to attach first.
    HolderDetached,
    /// A peer does not answer.
    UpstreamUnavailable {
        /// Its name.
        upstream: &'static str,
    },
    /// A peer did not answer before the deadline.
    DeadlineExceeded,
    /// An issued invoice is not what was issued.
    HistoryBroken {
        /// The workspace's name.
        workspace: String,
        /// The series.
        series: String,
        /// The year.
        year: i32,
        /// The first number that is wrong.
        number: String,
        /// What was found there.
        problem: &'static str,
    },
    /// A stored draft's figures break the rules of EN 16931: a defect, or damage.
    FiguresBroken {
        /// The invoice.
        invoice: String,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// A peer answered what it must not, or we mixed something up: a defect.
    Defect(&'static str),
    /// The database.
    Store(::store::Error),
}

impl From<::store::Error> for Error {
    fn from(error: ::store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

impl From<OrderError> for Error {
    fn from(error: OrderError) -> Self {
        Self::OrderBy(error)
    }
}
