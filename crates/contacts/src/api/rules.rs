//! What is wrong with a request that no rule of its proto states and that needs no stored data to be
//! found. Told together with what the proto states, before a handler sees the request.

use proto::Findings;
use proto::contacts::v1::watch_contacts_request::Start;
use proto::contacts::v1::{
    BatchGetContactsRequest, Contact, CreateContactRequest, CreateImportRequest,
    ExportContactsRequest, GetContactRequest, ListContactsRequest, ListImportRowsRequest,
    ListImportsRequest, UpdateContactRequest, WatchContactsRequest,
};
use proto::rules::{ContactServiceRules, TransferServiceRules};
use types::ContactName;

use super::Api;
use super::calls::parse;
use super::contacts::{list_input, watched};
use super::imports::{import_of, imports_input, rows_input};
use super::status::status;
use crate::app::{self, Freshness};
use crate::domain::{Faults, masks};
use crate::error::Error;
use crate::wire::contacts::{check, references};

impl ContactServiceRules for Api {
    fn create_contact(&self, request: &CreateContactRequest, found: &mut Findings) {
        let Some(contact) = &request.contact else {
            return;
        };
        of_contact(contact, |_| true, found);
        if !request.contact_id.is_empty() && references(contact).next().is_some() {
            let own = format!("{}/contacts/{}", request.parent, request.contact_id);
            of_references(contact, &own, |_| true, found);
        }
    }

    fn get_contact(&self, request: &GetContactRequest, found: &mut Findings) {
        of_freshness(&request.at_least_as_fresh_as, found);
    }

    fn batch_get_contacts(&self, request: &BatchGetContactsRequest, found: &mut Findings) {
        for (index, name) in request.names.iter().enumerate() {
            found.keep(parse::<ContactName>(&format!("names[{index}]"), name));
        }
        of_freshness(&request.at_least_as_fresh_as, found);
    }

    fn list_contacts(&self, request: &ListContactsRequest, found: &mut Findings) {
        if let Some(input) = found.keep(list_input(request)) {
            refuse_all(input.faults(), found);
        }
        of_freshness(&request.at_least_as_fresh_as, found);
    }

    fn update_contact(&self, request: &UpdateContactRequest, found: &mut Findings) {
        let mask = request.update_mask.as_ref();
        let mask = mask.map_or(&[][..], |mask| &mask.paths);
        if mask.is_empty() {
            found.refusal(status(Error::MaskRequired));
        } else if let Err(fault) = masks::check(mask) {
            found.refusal(status(Error::Mask(fault)));
        }
        let Some(contact) = &request.contact else {
            return;
        };
        found.keep(parse::<ContactName>("contact.name", &contact.name));
        // Fields that are not changed need not be right, but for a contact that is to be made of them.
        let counts = |path: &str| request.allow_missing || masks::names(mask, path);
        of_contact(contact, counts, found);
        of_references(contact, &contact.name, counts, found);
    }

    fn watch_contacts(&self, request: &WatchContactsRequest, found: &mut Findings) {
        let resume_token = match &request.start {
            Some(Start::ResumeToken(token)) => Some(token.as_str()),
            Some(Start::Now(_) | Start::Oldest(_)) | None => None,
        };
        let Some(workspace) = found.keep(watched(&request.parent)) else {
            return;
        };
        let (workspace, snapshot) = (workspace.as_deref(), request.send_snapshot);
        refuse_all(
            app::watch_faults(workspace, &request.filter, resume_token, snapshot),
            found,
        );
    }
}

impl TransferServiceRules for Api {
    fn create_import(&self, request: &CreateImportRequest, found: &mut Findings) {
        let import = request.import.as_ref().and_then(import_of);
        if let Some(import) = import {
            found.keep(app::check_mapping(&import).map_err(status));
        }
    }

    fn list_imports(&self, request: &ListImportsRequest, found: &mut Findings) {
        if let Some(input) = found.keep(imports_input(request)) {
            refuse_all(input.faults(), found);
        }
    }

    fn list_import_rows(&self, request: &ListImportRowsRequest, found: &mut Findings) {
        if let Some(input) = found.keep(rows_input(request)) {
            refuse_all(input.faults(), found);
        }
    }

    fn export_contacts(&self, request: &ExportContactsRequest, found: &mut Findings) {
        found.keep(app::contact_filter(&request.filter).map_err(status));
    }
}

/// The faults of a contact in a request, those whose paths count.
fn of_contact(contact: &Contact, counts: impl Fn(&str) -> bool, found: &mut Findings) {
    let mut faults = Faults::default();
    check(contact, &mut faults);
    for fault in faults.0 {
        if counts(&fault.path) {
            found.field(format!("contact.{}", fault.path), fault.rule, fault.problem);
        }
    }
}

/// Nobody is their own company, or was referred by themselves.
fn of_references(
    contact: &Contact,
    own: &str,
    counts: impl Fn(&str) -> bool,
    found: &mut Findings,
) {
    for (path, _) in references(contact).filter(|(_, name)| *name == own) {
        if counts(path) {
            let path = format!("contact.{path}");
            found.field(path, "reference.other", "must be another contact");
        }
    }
}

fn of_freshness(tokens: &[String], found: &mut Findings) {
    found.keep(Freshness::read(tokens).map_err(status));
}

fn refuse_all(errors: Vec<Error>, found: &mut Findings) {
    for error in errors {
        found.refusal(status(error));
    }
}
