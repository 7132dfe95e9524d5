//! What every error looks like on the wire, in one exhaustive match.

use std::time::Duration;

use ::store::filter::FilterError;
use ::store::order::OrderError;
use proto::errors::v1::Reason;
use proto::status::{Refusal, without_reason};
use proto::{Violations, failures};
use tonic::{Code, Status};
use types::Role;

use crate::domain::faults::Faults;
use crate::error::{Error, Kind, Missing};

/// When to come back where the wait is for another caller.
const SOON: Duration = Duration::from_millis(50);

impl Kind {
    /// The type of the resource.
    fn resource_type(self) -> &'static str {
        match self {
            Self::Invoice => "clientele.dev/Invoice",
            Self::Project => "clientele.dev/Project",
            Self::Assignment => "clientele.dev/Assignment",
            Self::Contact => "clientele.dev/Contact",
        }
    }

    /// The word for it.
    fn noun(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Project => "project",
            Self::Assignment => "assignment",
            Self::Contact => "contact",
        }
    }
}

/// The status that callers get.
pub(super) fn of(error: Error) -> Status {
    match error {
        Error::Invalid(faults) => violations(&faults).into(),
        Error::Filter(error) => filter_invalid(error).into(),
        Error::OrderBy(error) => order_by_invalid(error).into(),
        Error::UpdateMaskRequired => mask_required().into(),
        Error::UpdateMaskInvalid { path, problem } => mask_invalid(&path, problem).into(),
        Error::ConsistencyTokenForeign => token_foreign().into(),
        Error::NotFound { kind, resource } => not_found(kind, &resource).into(),
        Error::Exists { kind, resource } => exists(kind, &resource).into(),
        Error::EntitlementMissing(missing) => entitlement_missing(&missing).into(),
        Error::ContactMerged {
            contact,
            merged_into,
        } => contact_merged(&contact.to_string(), &merged_into).into(),
        Error::ContactDeleted { contact } => contact_deleted(&contact.to_string()).into(),
        Error::TransitionPending { contact, to, since } => {
            transition_pending(&contact.to_string(), &to, &since).into()
        }
        Error::CurrencyMismatch {
            field,
            expected,
            found,
        } => currency_mismatch(&field, &expected, &found).into(),
        Error::InvoiceIssued { invoice } => invoice_issued(&invoice).into(),
        Error::InvoiceIncomplete { invoice, lacking } => {
            invoice_incomplete(&invoice, &lacking).into()
        }
        Error::ProjectClosed { project } => project_closed(&project).into(),
        Error::EtagMismatch { resource } => {
            let message = format!("{resource} has changed since its etag was read, read it again");
            Refusal::new(Reason::EtagMismatch, message)
                .metadata("resource", resource)
                .into()
        }
        Error::ConcurrentUpdate { resource } => concurrent(&resource).into(),
        Error::UpstreamUnavailable { upstream } => upstream_unavailable(upstream).into(),
        Error::HolderDetached => upstream_unavailable("pipeline").into(),
        Error::DeadlineExceeded => deadline_exceeded(),
        Error::HistoryBroken {
            workspace,
            series,
            year,
            number,
            problem,
        } => {
            tracing::error!(
                workspace,
                series,
                year,
                number,
                problem,
                "issued invoices broken"
            );
            let message = format!("invoice {number} is not what was issued: {problem}");
            Refusal::new(Reason::HistoryBroken, message)
                .metadata("workspace", workspace)
                .metadata("series", series)
                .metadata("year", year.to_string())
                .metadata("number", number)
                .into()
        }
        Error::FiguresBroken { invoice, rules } => {
            tracing::error!(invoice, ?rules, "the figures of a draft break the rules");
            internal()
        }
        Error::Defect(what) => {
            tracing::error!(what, "a defect");
            internal()
        }
        Error::Store(error) => of_store(&error),
    }
}

/// What the database could not do. Its driver's words go to the log and no further.
fn of_store(error: &::store::Error) -> Status {
    let failure = error.failure();
    if failure.is_ours() {
        tracing::error!(error = %error, driver = error.driver_text(), "the database failed");
    }
    failures::status(failure)
}

fn violations(faults: &Faults) -> Violations {
    let mut violations = Violations::default();
    for fault in faults.list() {
        violations.push(fault.field.as_str(), "billing", fault.description.clone());
    }
    violations
}

fn filter_invalid(error: FilterError) -> Refusal {
    Refusal::new(Reason::FilterInvalid, error.to_string())
        .metadata("offset", error.offset.to_string())
        .metadata("field", error.field)
        .field_violation("filter", error.problem)
}

fn order_by_invalid(error: OrderError) -> Refusal {
    Refusal::new(Reason::OrderByInvalid, error.to_string())
        .metadata("field", error.field)
        .field_violation("order_by", error.problem)
}

fn mask_required() -> Refusal {
    let problem = "must name the fields to change, or be `*`";
    Refusal::new(Reason::UpdateMaskRequired, format!("update_mask {problem}"))
        .metadata("field", "update_mask")
        .field_violation("update_mask", problem)
}

fn currency_mismatch(field: &str, expected: &str, found: &str) -> Refusal {
    let message = format!("{field} is in {found}, but the document is in {expected}");
    Refusal::new(Reason::CurrencyMismatch, message)
        .metadata("field", field)
        .metadata("expected", expected)
        .metadata("found", found)
        .field_violation(field, "must be in the currency of the document")
}

fn mask_invalid(path: &str, problem: &str) -> Refusal {
    Refusal::new(
        Reason::UpdateMaskInvalid,
        format!("update_mask: `{path}` {problem}"),
    )
    .metadata("path", path)
    .field_violation("update_mask", format!("`{path}` {problem}"))
}

fn token_foreign() -> Refusal {
    let message =
        "a token of at_least_as_fresh_as was not given out in this database's present life";
    Refusal::new(Reason::ConsistencyTokenForeign, message)
        .metadata("service", "billing")
        .field_violation("at_least_as_fresh_as", "must have no such token")
}

fn not_found(kind: Kind, resource: &str) -> Refusal {
    Refusal::new(
        Reason::ResourceNotFound,
        format!("{resource} does not exist"),
    )
    .metadata("resource", resource)
    .resource(kind.resource_type(), resource)
}

fn exists(kind: Kind, resource: &str) -> Refusal {
    let message = format!("the {} {resource} exists already", kind.noun());
    Refusal::new(Reason::ResourceExists, message)
        .metadata("resource", resource)
        .resource(kind.resource_type(), resource)
}

fn entitlement_missing(missing: &Missing) -> Refusal {
    let Missing {
        contact,
        stage,
        role,
        entitlement,
        policy_revision,
    } = missing;
    let stands = if stage.is_empty() {
        "has no position".to_owned()
    } else {
        format!("stands at stage `{stage}`")
    };
    // A client can't be converted into what would be entitled: the policy gives that to another kind.
    let remedy = if *role == Some(Role::Client) {
        "where companies come first, ask for its company"
    } else {
        "convert it first"
    };
    let message =
        format!("{contact} {stands}, which does not entitle it to `{entitlement}`; {remedy}");
    let needed = format!("must stand at a stage that entitles to `{entitlement}`");
    Refusal::new(Reason::EntitlementMissing, message)
        .metadata("contact", contact.to_string())
        .metadata("stage", stage.as_str())
        .metadata("role", role.map_or("UNSPECIFIED", Role::as_str))
        .metadata("entitlement", *entitlement)
        .metadata("policy_revision", policy_revision.as_str())
        .precondition("ENTITLEMENT", contact.to_string(), needed)
        .resource(Kind::Contact.resource_type(), contact.to_string())
}

fn contact_merged(contact: &str, merged_into: &str) -> Refusal {
    let message = format!("{contact} was merged into {merged_into}, use that one");
    Refusal::new(Reason::ContactMerged, message)
        .metadata("contact", contact)
        .metadata("merged_into", merged_into)
}

fn contact_deleted(contact: &str) -> Refusal {
    Refusal::new(
        Reason::ResourceDeleted,
        format!("{contact} is deleted, undelete it first"),
    )
    .metadata("resource", contact)
    .resource(Kind::Contact.resource_type(), contact)
}

fn transition_pending(contact: &str, to: &str, since: &str) -> Refusal {
    let message = format!(
        "{contact} is leaving its stage, or its policy changes, and what was granted is being \
         given back; ask again when that is done"
    );
    Refusal::new(Reason::TransitionPending, message)
        .metadata("contact", contact)
        .metadata("to", to)
        .metadata("since", since)
        .retry_after(SOON)
}

fn invoice_issued(invoice: &str) -> Refusal {
    let message = format!("{invoice} is issued and never changes; correct it with a credit note");
    Refusal::new(Reason::InvoiceStateInvalid, message)
        .metadata("invoice", invoice)
        .metadata("state", "ISSUED")
        .precondition("STATE", invoice, "must be a draft")
}

fn invoice_incomplete(invoice: &str, lacking: &Faults) -> Refusal {
    let faults = lacking.list();
    let sentences: Vec<String> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.field, fault.description))
        .collect();
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    let message = format!(
        "{invoice} can't be issued as it stands: {}",
        sentences.join("; ")
    );
    let refusal = Refusal::new(Reason::InvoiceIncomplete, message)
        .metadata("invoice", invoice)
        .metadata("fields", fields.join(","));
    faults.iter().fold(refusal, |refusal, fault| {
        refusal.precondition("FIELD", fault.field.as_str(), fault.description.as_str())
    })
}

fn project_closed(project: &str) -> Refusal {
    let message = format!("{project} is closed, nobody is assigned to it any more");
    Refusal::new(Reason::ProjectStateInvalid, message)
        .metadata("project", project)
        .metadata("state", "CLOSED")
        .precondition("STATE", project, "must be active")
}

fn upstream_unavailable(upstream: &str) -> Refusal {
    let message = format!(
        "no grant is held for the contact, and {upstream}, which gives them, can't be reached now"
    );
    Refusal::new(Reason::UpstreamUnavailable, message).metadata("upstream", upstream)
}

fn concurrent(resource: &str) -> Refusal {
    let message = "others changed the same data at the same time, repeat the call after a pause";
    Refusal::new(Reason::ConcurrentUpdate, message)
        .metadata("resource", resource)
        .retry_after(SOON)
}

fn deadline_exceeded() -> Status {
    without_reason(
        Code::DeadlineExceeded,
        "the deadline passed before the call was done",
        "",
    )
}

fn internal() -> Status {
    without_reason(Code::Internal, "an internal fault, which was logged", "")
}
