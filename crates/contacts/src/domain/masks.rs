//! Update masks: which of a contact's fields a caller may change, and what changing them gives.
//!
//! Paths are those of the proto's Contact: a field, a part of a message, or one key of a map
//! (`labels.tier`). `*` stands for all. What only the service writes is passed over (AIP-203).

use super::facts::{Facts, Identity, Interest, Kind, Qualification};

/// Why a mask was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskFault {
    /// The path in question.
    pub path: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

const ALL_ALONE: &str = "stands for all fields and so must stand alone";
const NO_FIELD: &str = "is no field of a contact that can be changed";

/// Fields that only the service writes. A caller's value is ignored, as AIP-203 asks for.
const OUTPUT_ONLY: [&str; 12] = [
    "stage",
    "role",
    "position_revision",
    "state",
    "merged_into",
    "etag",
    "creator",
    "updater",
    "create_time",
    "update_time",
    "delete_time",
    "purge_time",
];

/// The first path of a mask that can't be one whatever the contact is.
pub fn check(mask: &[String]) -> Result<(), MaskFault> {
    let mut nobody = Facts::default();
    let nothing = Facts::default();
    for path in mask {
        let problem = match path.as_str() {
            "*" if mask.len() > 1 => Some(ALL_ALONE),
            "*" | "name" | "kind" | "requested_stage" => None,
            path if OUTPUT_ONLY.contains(&path) => None,
            known if set(&mut nobody, &nothing, known) => None,
            _ => Some(NO_FIELD),
        };
        if let Some(problem) = problem {
            return Err(MaskFault {
                path: path.clone(),
                problem,
            });
        }
    }
    Ok(())
}

/// Whether a mask names the field that a path within the contact begins with.
pub fn names(mask: &[String], path: &str) -> bool {
    let field = |path: &str| path.find(['.', '[']).unwrap_or(path.len());
    let wanted = &path[..field(path)];
    mask.iter()
        .any(|mask| mask == "*" || &mask[..field(mask)] == wanted)
}

/// The facts after a change: those of `new` that the mask names, the others of `old`. `kind` is the
/// kind that the caller gave, if any.
pub fn applied(
    old: &Facts,
    new: &Facts,
    kind: Option<Kind>,
    mask: &[String],
) -> Result<Facts, MaskFault> {
    let refuse = |path: &str, problem| {
        Err(MaskFault {
            path: path.to_owned(),
            problem,
        })
    };
    if mask.iter().any(|path| path == "*") {
        if mask.len() > 1 {
            return refuse("*", ALL_ALONE);
        }
        if kind.is_some_and(|kind| kind != old.kind) {
            return refuse("kind", "can't be changed");
        }
        if !new.requested_stage.is_empty() && new.requested_stage != old.requested_stage {
            return refuse("requested_stage", "can't be changed after creation");
        }
        let mut facts = Facts {
            kind: old.kind,
            requested_stage: old.requested_stage.clone(),
            ..new.clone()
        };
        keep_verified(old, &mut facts);
        keep_derived(old, &mut facts);
        return Ok(facts);
    }
    let mut facts = old.clone();
    for path in mask {
        match path.as_str() {
            "name" => {}
            "kind" if kind.unwrap_or_default() == old.kind => {}
            "requested_stage" if new.requested_stage == old.requested_stage => {}
            "kind" | "requested_stage" => return refuse(path, "can't be changed after creation"),
            path if OUTPUT_ONLY.contains(&path) => {}
            known => {
                if !set(&mut facts, new, known) {
                    return refuse(path, NO_FIELD);
                }
            }
        }
    }
    keep_verified(old, &mut facts);
    keep_derived(old, &mut facts);
    Ok(facts)
}

/// Hands the fields on that change as a whole; labels also change key by key.
macro_rules! each_whole_field {
    ($then:ident) => {
        $then!(
            display_name,
            given_name,
            family_name,
            title,
            company,
            emails,
            phones,
            postal_addresses,
            urls,
            relationship_kinds,
            source,
            interest,
            identity,
            qualification,
            owner,
            ready_to_buy,
            next_step_due_time,
            external_ids,
            tax_id,
            legal_name,
            attributes,
            note,
        )
    };
}

/// Takes one field over; false where there is no such path.
fn set(facts: &mut Facts, new: &Facts, path: &str) -> bool {
    macro_rules! take {
        ($($field:ident),+ $(,)?) => {
            match path {
                $(stringify!($field) => {
                    facts.$field.clone_from(&new.$field);
                    return true;
                })+
                _ => {}
            }
        };
    }
    each_whole_field!(take);
    if path == "labels" {
        facts.labels.clone_from(&new.labels);
        return true;
    }
    match path.split_once('.') {
        Some(("labels", key)) if is_label_key(key) => {
            take_key(&mut facts.labels, &new.labels, key);
            true
        }
        Some(("source", part)) => set_source(facts, new, part),
        Some(("interest", part)) => set_interest(&mut facts.interest, new.interest.as_ref(), part),
        Some(("identity", part)) => set_identity(&mut facts.identity, new.identity.as_ref(), part),
        Some(("qualification", part)) => {
            set_qualification(&mut facts.qualification, new.qualification.as_ref(), part)
        }
        _ => false,
    }
}

fn set_source(facts: &mut Facts, new: &Facts, part: &str) -> bool {
    let (old, new) = (&mut facts.source, &new.source);
    match part {
        "channel" => old.channel = new.channel,
        "campaign" => old.campaign.clone_from(&new.campaign),
        "referrer" => old.referrer.clone_from(&new.referrer),
        "referral_kind" => old.referral_kind = new.referral_kind,
        _ => return false,
    }
    true
}

/// A part of an optional message. One that is not there on either side stays away: a default would
/// be a claim that nobody made.
fn set_interest(old: &mut Option<Interest>, new: Option<&Interest>, part: &str) -> bool {
    if !matches!(part, "expressed_time" | "evidence") {
        return false;
    }
    match (old.as_mut(), new) {
        (None, new) => *old = new.cloned(),
        // Without the time, which it must have, there is no interest.
        (Some(_), None) if part == "expressed_time" => *old = None,
        (Some(target), None) => target.evidence.clear(),
        (Some(target), Some(new)) if part == "evidence" => {
            target.evidence.clone_from(&new.evidence);
        }
        (Some(target), Some(new)) => target.expressed_time = new.expressed_time,
    }
    true
}

fn set_identity(old: &mut Option<Identity>, new: Option<&Identity>, part: &str) -> bool {
    if !matches!(part, "verified_time" | "method") {
        return false;
    }
    match (old.as_mut(), new) {
        (None, new) => *old = new.cloned(),
        // Without the time, which it must have, nothing was verified.
        (Some(_), None) if part == "verified_time" => *old = None,
        (Some(target), None) => target.method.clear(),
        (Some(target), Some(new)) if part == "method" => target.method.clone_from(&new.method),
        (Some(target), Some(new)) => target.verified_time = new.verified_time,
    }
    true
}

fn set_qualification(
    old: &mut Option<Qualification>,
    new: Option<&Qualification>,
    part: &str,
) -> bool {
    let key = match part.split_once('.') {
        None if matches!(part, "verdict" | "checklist") => "",
        Some(("checklist", key)) => key,
        _ => return false,
    };
    if old.is_none() && new.is_none() {
        return true;
    }
    let given = new.cloned().unwrap_or_default();
    let target = old.get_or_insert_default();
    match part {
        "verdict" => target.verdict = given.verdict,
        "checklist" => target.checklist = given.checklist,
        _ => take_key(&mut target.checklist, &given.checklist, key),
    }
    true
}

/// One key of a map: the new value, or none where the new map has none.
fn take_key<V: Clone>(
    old: &mut std::collections::BTreeMap<String, V>,
    new: &std::collections::BTreeMap<String, V>,
    key: &str,
) {
    match new.get(key) {
        Some(value) => old.insert(key.to_owned(), value.clone()),
        None => old.remove(key),
    };
}

/// As the proto has it: a lower-case letter, then lower-case letters, digits, `_` and `-`.
fn is_label_key(key: &str) -> bool {
    key.len() <= 63
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// A contact without a display name is shown with one made of other fields. Who reads it and writes it
/// back has not chosen that name: it goes on following those fields.
fn keep_derived(old: &Facts, facts: &mut Facts) {
    if old.display_name.is_empty() && facts.display_name == old.shown_name() {
        facts.display_name.clear();
    }
}

/// An address that stays keeps its proof, whatever else is said about it.
fn keep_verified(old: &Facts, facts: &mut Facts) {
    for email in &mut facts.emails {
        let known = old.emails.iter().find(|old| old.address == email.address);
        email.verified = known.is_some_and(|known| known.verified);
    }
}

/// The paths in which two contacts' facts differ: fields, and keys of `labels`.
pub fn changed_paths(old: &Facts, new: &Facts) -> Vec<String> {
    let mut paths = Vec::new();
    macro_rules! compare {
        ($($field:ident),+ $(,)?) => {
            $(if old.$field != new.$field {
                paths.push(stringify!($field).to_owned());
            })+
        };
    }
    each_whole_field!(compare);
    let keys: std::collections::BTreeSet<&String> =
        old.labels.keys().chain(new.labels.keys()).collect();
    for key in keys {
        if old.labels.get(key) != new.labels.get(key) {
            paths.push(format!("labels.{key}"));
        }
    }
    paths
}

#[cfg(test)]
mod tests;
