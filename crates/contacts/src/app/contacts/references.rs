//! What a contact points at, and what points at it: other contacts, keys in other systems, and what
//! is left of a contact that had its name.

use store::Conn;
use types::ContactName;

use crate::domain::contacts::{Contact, State};
use crate::domain::facts::{ExternalId, Facts, Kind};
use crate::error::Error;
use crate::store::contacts as rows;

/// Whom a contact refers to must exist in its own workspace; its company must be one.
pub(super) fn check_references(
    conn: &mut Conn,
    name: &ContactName,
    references: &[(&'static str, ContactName)],
) -> Result<(), Error> {
    for (path, target) in references {
        if target.workspace != name.workspace {
            return Err(Error::not_found(target));
        }
        let path = format!("contact.{path}");
        if target == name {
            return Err(Error::field(
                path,
                "reference.other",
                "must be another contact",
            ));
        }
        let found = rows::contact_get(conn, target)?.ok_or_else(|| Error::not_found(target))?;
        if matches!(found.state, State::Deleted | State::Merged) {
            return Err(Error::Deleted {
                resource: target.to_string(),
            });
        }
        if path.ends_with("company") && found.facts.kind != Kind::Company {
            let problem = "must be a contact of kind COMPANY";
            return Err(Error::field(path, "reference.company", problem));
        }
    }
    Ok(())
}

/// No external id that is new may belong to another contact.
pub(super) fn require_identities(
    conn: &mut Conn,
    old: &Contact,
    facts: &Facts,
) -> Result<(), Error> {
    let new: Vec<ExternalId> = facts
        .external_ids
        .iter()
        .filter(|id| !old.facts.external_ids.contains(id))
        .cloned()
        .collect();
    let workspace = &old.name.workspace;
    match rows::external_id_owners(conn, workspace, &new)?
        .into_iter()
        .next()
    {
        Some((id, owner)) => Err(duplicate(workspace, &id, &owner)),
        None => Ok(()),
    }
}

/// No contact whose id somebody chose gets the name of one that is purged. Those of this workspace were
/// found missing, or inserted, earlier in the transaction.
pub(super) fn require_unused(conn: &mut Conn, workspace: &str, ids: &[&str]) -> Result<(), Error> {
    match rows::contacts_purged(conn, workspace, ids)?.pop() {
        Some(id) => Err(Error::NamePurged {
            resource: ContactName::new(workspace, id).to_string(),
        }),
        None => Ok(()),
    }
}

/// Another contact has this external id.
pub(super) fn duplicate(workspace: &str, id: &ExternalId, owner: &str) -> Error {
    Error::DuplicateIdentity {
        existing: ContactName::new(workspace, owner).to_string(),
        system: id.system.clone(),
    }
}
