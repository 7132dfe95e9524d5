//! Events of billing.

use prost::Message as _;
use proto::billing::v1::assignment_change::Kind as AssignmentKind;
use proto::billing::v1::invoice_change::Kind as InvoiceKind;
use proto::billing::v1::project_change::Kind as ProjectKind;
use proto::billing::v1::{
    Assignment, AssignmentChange, Invoice, InvoiceChange, Project, ProjectChange,
};
use store::change_log::Change;
use types::Service;

use super::{Kind, paths, told};

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    of_invoice("invoice.created", |change| {
        invoice(change, InvoiceKind::Created)
    }),
    of_invoice("invoice.updated", |change| {
        invoice(change, InvoiceKind::Updated)
    }),
    of_invoice("invoice.issued", |change| {
        invoice(change, InvoiceKind::Issued)
    }),
    of_project("project.created", |change| {
        project(change, ProjectKind::Created)
    }),
    of_project("project.updated", |change| {
        project(change, ProjectKind::Updated)
    }),
    of_assignment("assignment.created", |change| {
        assignment(change, AssignmentKind::Created)
    }),
    of_assignment("assignment.ended", |change| {
        assignment(change, AssignmentKind::Ended)
    }),
];

const fn of_invoice(name: &'static str, data: fn(&Change) -> Option<Vec<u8>>) -> Kind {
    Kind {
        service: Service::Billing,
        name,
        message: "clientele.billing.v1.InvoiceChange",
        contact: |change| Some(Invoice::decode(change.payload.as_slice()).ok()?.contact),
        data,
    }
}

const fn of_project(name: &'static str, data: fn(&Change) -> Option<Vec<u8>>) -> Kind {
    Kind {
        service: Service::Billing,
        name,
        message: "clientele.billing.v1.ProjectChange",
        contact: |_| None,
        data,
    }
}

const fn of_assignment(name: &'static str, data: fn(&Change) -> Option<Vec<u8>>) -> Kind {
    Kind {
        service: Service::Billing,
        name,
        message: "clientele.billing.v1.AssignmentChange",
        contact: |change| Some(Assignment::decode(change.payload.as_slice()).ok()?.contact),
        data,
    }
}

fn invoice(change: &Change, kind: InvoiceKind) -> Option<Vec<u8>> {
    told!(
        change,
        InvoiceChange {
            kind: kind.into(),
            invoice: Some(Invoice::decode(change.payload.as_slice()).ok()?),
            changed_paths: paths(change),
        }
    )
}

fn project(change: &Change, kind: ProjectKind) -> Option<Vec<u8>> {
    told!(
        change,
        ProjectChange {
            kind: kind.into(),
            project: Some(Project::decode(change.payload.as_slice()).ok()?),
            changed_paths: paths(change),
        }
    )
}

fn assignment(change: &Change, kind: AssignmentKind) -> Option<Vec<u8>> {
    told!(
        change,
        AssignmentChange {
            kind: kind.into(),
            assignment: Some(Assignment::decode(change.payload.as_slice()).ok()?),
        }
    )
}
