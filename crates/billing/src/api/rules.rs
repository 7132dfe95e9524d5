//! What is wrong with a request that no rule of its proto states and that needs no stored data to be
//! found. Told together with what the proto states, before a handler sees the request.

use proto::Findings;
use proto::billing::v1;
use proto::rules::{InvoiceServiceRules, ProjectServiceRules};
use types::{InvoiceName, ProjectName, WorkspaceName};

use super::invoices::Invoices;
use super::projects::Projects;
use super::status;
use crate::app::calls::check_freshness;
use crate::app::{assignments, invoices, projects};
use crate::domain::faults::Faults;
use crate::error::Error;
use crate::wire::invoices::content_from_wire;
use crate::wire::masks;
use crate::wire::projects::{content_from_wire as project_from_wire, role_in_project};

impl InvoiceServiceRules for Invoices {
    fn create_invoice(&self, request: &v1::CreateInvoiceRequest, found: &mut Findings) {
        // Invoices are long, and the use case finds the same as it reads one: here it is only told
        // beside what else is wrong.
        if let (false, Some(invoice)) = (found.is_empty(), &request.invoice) {
            let workspace = request.parent.parse::<WorkspaceName>();
            let workspace = workspace.map_or_else(|_| String::new(), |name| name.workspace);
            let content = content_from_wire(invoice, &workspace);
            let sums = content.and_then(|content| content.sums().map_err(Error::from));
            found.keep(sums.map_err(status::of));
        }
    }

    fn get_invoice(&self, request: &v1::GetInvoiceRequest, found: &mut Findings) {
        of_freshness(&request.at_least_as_fresh_as, self.epoch(), found);
    }

    fn list_invoices(&self, request: &v1::ListInvoicesRequest, found: &mut Findings) {
        refuse_all(invoices::list_faults(request), found);
        of_freshness(&request.at_least_as_fresh_as, self.epoch(), found);
    }

    fn update_invoice(&self, request: &v1::UpdateInvoiceRequest, found: &mut Findings) {
        let given = request.invoice.clone().unwrap_or_default();
        let name = invoices::name::<InvoiceName>("invoice.name", &given.name);
        let name = found.keep(name.map_err(status::of));
        let paths = masks::paths(request.update_mask.as_ref()).map_err(status::of);
        let (Some(name), Some(paths)) = (name, found.keep(paths)) else {
            return;
        };
        // What is stored is not known here: the fields that change are looked at by themselves.
        let bare = v1::Invoice {
            contact: given.contact.clone(),
            ..v1::Invoice::default()
        };
        let merged = |path: &[String]| masks::invoice(bare.clone(), &given, path).map(drop);
        let named = known(&paths, merged, found);
        if let Err(Error::Invalid(faults)) = content_from_wire(&given, &name.workspace) {
            of_named(&faults, "invoice.", &named, found);
        }
    }
}

impl ProjectServiceRules for Projects {
    fn create_project(&self, request: &v1::CreateProjectRequest, found: &mut Findings) {
        if let Some(project) = &request.project {
            found.keep(project_from_wire(project).map_err(refused));
        }
    }

    fn get_project(&self, request: &v1::GetProjectRequest, found: &mut Findings) {
        of_freshness(&request.at_least_as_fresh_as, self.epoch(), found);
    }

    fn list_projects(&self, request: &v1::ListProjectsRequest, found: &mut Findings) {
        refuse_all(projects::list_faults(request), found);
        of_freshness(&request.at_least_as_fresh_as, self.epoch(), found);
    }

    fn update_project(&self, request: &v1::UpdateProjectRequest, found: &mut Findings) {
        let given = request.project.clone().unwrap_or_default();
        let name = invoices::name::<ProjectName>("project.name", &given.name);
        found.keep(name.map_err(status::of));
        let paths = masks::paths(request.update_mask.as_ref()).map_err(status::of);
        let Some(paths) = found.keep(paths) else {
            return;
        };
        let merged =
            |path: &[String]| masks::project(v1::Project::default(), &given, path).map(drop);
        let named = known(&paths, merged, found);
        if let Err(faults) = project_from_wire(&given) {
            of_named(&faults, "project.", &named, found);
        }
    }

    fn assign_contact(&self, request: &v1::AssignContactRequest, found: &mut Findings) {
        found.keep(assignments::parties(&request.project, &request.contact).map_err(status::of));
        found.keep(role_in_project(&request.role_in_project).map_err(refused));
    }

    fn unassign_contact(&self, request: &v1::UnassignContactRequest, found: &mut Findings) {
        found.keep(assignments::parties(&request.project, &request.contact).map_err(status::of));
    }

    fn list_assignments(&self, request: &v1::ListAssignmentsRequest, found: &mut Findings) {
        refuse_all(assignments::list_faults(request), found);
        of_freshness(&request.at_least_as_fresh_as, self.epoch(), found);
    }
}

fn refused(faults: Faults) -> tonic::Status {
    status::of(faults.into())
}

/// The paths of a mask that name something; the others are refused.
fn known(
    paths: &[String],
    merged: impl Fn(&[String]) -> Result<(), Error>,
    found: &mut Findings,
) -> Vec<String> {
    let known = paths.iter().filter(|path| {
        found
            .keep(merged(std::slice::from_ref(path)).map_err(status::of))
            .is_some()
    });
    known.cloned().collect()
}

/// The faults of the fields that the mask names.
fn of_named(faults: &Faults, resource: &str, paths: &[String], found: &mut Findings) {
    for fault in faults.list() {
        let path = fault.field.strip_prefix(resource);
        if path.is_some_and(|path| masks::names(paths, path)) {
            let description = fault.description.clone();
            found.field(fault.field.as_str(), "billing", description);
        }
    }
}

fn of_freshness(tokens: &[String], epoch: i64, found: &mut Findings) {
    found.keep(check_freshness(tokens, epoch).map_err(status::of));
}

fn refuse_all(errors: Vec<Error>, found: &mut Findings) {
    for error in errors {
        found.refusal(status::of(error));
    }
}
