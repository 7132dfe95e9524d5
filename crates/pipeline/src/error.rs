//! Why the pipeline service refused or failed, in words of its own.
//!
//! Invariant: nothing of the transport in here; `api::status` gives each variant its code, without
//! a wildcard.

use policy::Refusal;
use types::{ContactName, Micros};

use crate::domain::policies::PolicyRef;

/// Why a call was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no such resource.
    #[error("there is no {name}")]
    NotFound {
        /// The type of the resource, such as `clientele.dev/Contact`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A resource of this name exists.
    #[error("{name} exists")]
    Exists {
        /// The type of the resource.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The contact is deleted.
    #[error("{0} is deleted")]
    Deleted(ContactName),
    /// The contact was merged into another one.
    #[error("{contact} was merged")]
    Merged {
        /// The contact.
        contact: ContactName,
        /// The one it was merged into.
        into: String,
    },
    /// The policy refused a move.
    #[error("{refusal}")]
    Refused {
        /// Whom it is about.
        contact: ContactName,
        /// The policy revision in force.
        policy: PolicyRef,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// Another move of the contact waits for grants to be given back.
    #[error("a move of {contact} to `{to}` waits")]
    TransitionPending {
        /// The contact.
        contact: ContactName,
        /// The stage it goes to; empty where to none.
        to: String,
        /// Whether the contact goes away, which can't be given up.
        is_removal: bool,
        /// Since when.
        since: Micros,
    },
    /// An activation of the workspace waits for its fence.
    #[error("an activation of {workspace} waits")]
    ActivationPending {
        /// The workspace.
        workspace: String,
        /// The revision that is to come into force.
        to: String,
        /// Since when.
        since: Micros,
    },
    /// The contact was removed, or its position changed, while the decision was made.
    #[error("others changed {resource} again and again")]
    ConcurrentUpdate {
        /// The resource.
        resource: String,
    },
    /// A holder of grants has not attached in the present epochs of its database and ours.
    #[error("the holder {holder} has to attach first")]
    HolderDetached {
        /// The holder.
        holder: String,
    },
    /// A holder of grants speaks from an epoch that is over: it has attached in a later one, or was
    /// forgotten in this one.
    #[error("the epoch in which the holder {holder} speaks is over")]
    HolderOver {
        /// The holder.
        holder: String,
    },
    /// The resource has changed since it was read.
    #[error("{resource} has changed since it was read")]
    EtagMismatch {
        /// The resource.
        resource: String,
    },
    /// The policy in force puts contacts first: no company follows anybody.
    #[error("{company} follows nobody, contacts come first")]
    ContactsFirst {
        /// The company.
        company: ContactName,
        /// The policy revision in force.
        policy: PolicyRef,
    },
    /// The contact cannot be the primary contact of the company.
    #[error("{contact} {problem}")]
    CannotLead {
        /// The company.
        company: ContactName,
        /// What is not as it must be: the contact, or the company itself.
        contact: ContactName,
        /// What it must be.
        problem: String,
    },
    /// No move of the contact waits.
    #[error("no move of {0} waits")]
    NothingPending(ContactName),
    /// The move that was asked for waited, and was given up.
    #[error("the move of {0} was given up")]
    GivenUp(ContactName),
    /// The activation is in force or over.
    #[error("{activation} can't be cancelled, it is {state}")]
    ActivationOver {
        /// The activation.
        activation: String,
        /// How far it is.
        state: &'static str,
    },
    /// A policy has faults.
    #[error("the policy has {} fault(s)", .faults.len())]
    PolicyInvalid {
        /// Every fault.
        faults: Vec<policy::Fault>,
        /// The guard whose expression is the first that is wrong; empty where it is none's.
        guard: String,
    },
    /// The compiler has too much to do.
    #[error("the policy compiler is busy")]
    CompilerBusy,
    /// A revision cannot be activated with this stage map.
    #[error("the stage map has {} obstacle(s)", .obstacles.len())]
    Unmapped {
        /// The revision.
        policy_revision: String,
        /// Every obstacle.
        obstacles: Vec<policy::activation::Obstacle>,
    },
    /// A field is wrong in a way that no rule of the proto can state.
    #[error("{field} {problem}")]
    Field {
        /// The field's path in the request.
        field: String,
        /// What it must be.
        problem: String,
    },
    /// The update mask is empty.
    #[error("update_mask is empty")]
    MaskRequired,
    /// The update mask names what does not exist or cannot be changed.
    #[error("update_mask has {path}")]
    MaskInvalid {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The filter is wrong.
    #[error(transparent)]
    Filter(#[from] store::filter::FilterError),
    /// The order is wrong.
    #[error(transparent)]
    Order(#[from] store::order::OrderError),
    /// A consistency token is another service's, or none that we gave out.
    #[error("a consistency token is not ours")]
    TokenForeign {
        /// The service that it speaks of; empty where that cannot be read.
        service: &'static str,
    },
    /// What a token stands for has not arrived yet.
    #[error("what the token of {service} stands for has not arrived yet")]
    ConsistencyNotReached {
        /// The service whose token it is.
        service: &'static str,
    },
    /// Changes after a resume token are gone.
    #[error("changes after the resume token are gone")]
    ResumeExpired {
        /// The oldest token that can still be resumed after.
        oldest_token: String,
    },
    /// Only the suite's own services may do this.
    #[error("only the suite's own services may do this")]
    InternalOnly {
        /// The permission that is missing.
        permission: &'static str,
    },
    /// A stored history is not what was written.
    #[error("the history of {contact} is broken at {revision}: {problem}")]
    HistoryBroken {
        /// The contact, or the workspace's checkpoint.
        contact: String,
        /// The first broken row.
        revision: i64,
        /// What is wrong with it.
        problem: String,
    },
    /// Another service did not answer.
    #[error("{service} did not answer")]
    Upstream {
        /// The service.
        service: &'static str,
    },
    /// The deadline passed.
    #[error("the deadline passed")]
    DeadlineExceeded,
}

impl Error {
    /// There is no contact of this name.
    pub fn no_contact(name: &ContactName) -> Self {
        Self::NotFound {
            kind: "clientele.dev/Contact",
            name: name.to_string(),
        }
    }

    /// Whether the same call may succeed when it is repeated, without anybody having changed anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => matches!(
                error,
                store::Error::Contention
                    | store::Error::DeadlineExceeded
                    | store::Error::LockTimeout
                    | store::Error::Overloaded
                    | store::Error::Unavailable(_)
                    | store::Error::CommitUnknown(_)
                    | store::Error::RequestInProgress
            ),
            Self::ConcurrentUpdate { .. }
            | Self::CompilerBusy
            | Self::Upstream { .. }
            | Self::ConsistencyNotReached { .. }
            | Self::DeadlineExceeded => true,
            _ => false,
        }
    }

    /// A field that no rule of the proto can check.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// Why the service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The address of contacts.
    #[error("contacts_uri: {0}")]
    Peer(#[from] serve::peer::PeerError),
    /// The policy compiler's thread.
    #[error("the policy compiler can't be started: {0}")]
    Compiler(#[from] std::io::Error),
}
