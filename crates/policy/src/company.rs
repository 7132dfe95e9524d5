//! Company-first mode (seed 001): companies, not people, receive projects, invoices and files.
//!
//! A company has exactly one primary contact and stands where that contact stands. These are the
//! rules; who is associated with which company is for the services to know.

use std::collections::BTreeSet;

use types::Micros;

use crate::decide::{Position, Refusal};
use crate::definition::{Guard, Mode};
use crate::entitlements::{ESTIMATE, INVOICE, PROJECT, PROMO_MATERIAL, PROPOSAL};
use crate::policy::Policy;

/// The entitlements that are a company's alone in company-first mode: its documents and files. Who
/// logs in and who is written to stays a person.
pub const OF_COMPANIES: [&str; 5] = [PROMO_MATERIAL, ESTIMATE, PROPOSAL, INVOICE, PROJECT];

/// What a contact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person.
    Person,
    /// A company.
    Company,
    /// A group of people, treated like a person.
    Group,
}

/// A person associated with a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Associate<'a> {
    /// When the contact was created.
    pub created: Micros,
    /// The contact's name.
    pub contact: &'a str,
}

/// What changing the primary contact does to a company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrimaryChange {
    /// The entitlements it adds.
    pub gained: BTreeSet<String>,
    /// The entitlements it takes away: such a change goes through recall.
    pub lost: BTreeSet<String>,
}

/// What a contact of this kind may be granted where it, or its primary contact, stands in `stage`.
#[must_use]
pub fn entitlements(policy: &Policy, kind: Kind, stage: Option<&str>) -> BTreeSet<String> {
    let Some(stage) = stage else {
        return BTreeSet::new();
    };
    let all = policy.entitle(stage).iter();
    if policy.mode() == Mode::CompanyFirst && kind != Kind::Company {
        all.filter(|key| !OF_COMPANIES.contains(&key.as_str()))
            .cloned()
            .collect()
    } else {
        all.cloned().collect()
    }
}

/// What the guard of [`membership`] asks for.
pub(crate) const MEMBERSHIP: &str = "contact.kind != 'PERSON' || contact.has_company";

/// The guard on entering any stage where a person must belong to a company. It is part of no
/// definition and is asked first.
pub(crate) fn membership() -> Guard {
    Guard {
        id: "company-required".to_owned(),
        expression: MEMBERSHIP.to_owned(),
        message: "The person belongs to a company.".to_owned(),
    }
}

/// Where a company stands: where its primary contact stands, or nowhere.
#[must_use]
pub fn position(primary: Option<&Position>) -> Position {
    primary.cloned().unwrap_or_default()
}

/// Who becomes primary when the mode is turned on: the associate who was created first.
#[must_use]
pub fn first_primary<'a>(associates: &[Associate<'a>]) -> Option<Associate<'a>> {
    associates.iter().min().copied()
}

/// Checks naming another primary contact, given where the old one and the new one stand.
///
/// Refused where a company with open documents would lose entitlements: that would be a backward
/// move by the back door.
pub fn change_primary(
    policy: &Policy,
    from: Option<&str>,
    to: Option<&str>,
    open_documents: bool,
) -> Result<PrimaryChange, Refusal> {
    let change = PrimaryChange {
        gained: policy.gained(from, to),
        lost: policy.lost(from, to),
    };
    if open_documents && !change.lost.is_empty() {
        return Err(Refusal::PrimaryLosesEntitlements {
            lost: change.lost.into_iter().collect(),
        });
    }
    Ok(change)
}
