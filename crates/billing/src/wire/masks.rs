//! Update masks: what of a caller's resource takes the place of what is stored (AIP-134, AIP-161).
//!
//! Paths are those of the proto: a field, a part of a message, or one key of a map (`labels.tier`);
//! repeated fields only as a whole. `*` stands for all. What only the service writes is passed over
//! (AIP-203), what can't be changed after creation is refused where it would change.

use std::collections::BTreeMap;

use proto::billing::v1;

use crate::error::Error;

/// What is wrong with a path that names nothing.
const UNKNOWN: &str = "is no field that can be changed";
/// What is wrong with a path whose value is fixed.
const FIXED: &str = "can't be changed after creation";

/// The paths of a mask, one at least.
pub fn paths(mask: Option<&prost_types::FieldMask>) -> Result<Vec<String>, Error> {
    let paths = mask.map(|mask| mask.paths.clone()).unwrap_or_default();
    if paths.is_empty() {
        return Err(Error::UpdateMaskRequired);
    }
    if paths.len() > 1 && paths.iter().any(|path| path == "*") {
        return Err(refused(
            "*",
            "stands for all fields and so must stand alone",
        ));
    }
    Ok(paths)
}

/// Whether a mask names the field that a path within the resource begins with.
pub fn names(paths: &[String], path: &str) -> bool {
    let field = |path: &str| path.find(['.', '[']).unwrap_or(path.len());
    let wanted = &path[..field(path)];
    paths
        .iter()
        .any(|named| named == "*" || &named[..field(named)] == wanted)
}

fn refused(path: &str, problem: &'static str) -> Error {
    Error::UpdateMaskInvalid {
        path: path.to_owned(),
        problem,
    }
}

/// The stored invoice with what the mask names taken from the caller's.
pub fn invoice(
    mut stored: v1::Invoice,
    given: &v1::Invoice,
    paths: &[String],
) -> Result<v1::Invoice, Error> {
    const ALL: [&str; 11] = [
        "currency_code",
        "lines",
        "buyer",
        "series",
        "issue_date",
        "due_date",
        "allowance_charges",
        "prepaid_amount",
        "rounding_amount",
        "note",
        "labels",
    ];
    if matches!(paths, [only] if only == "*") {
        if !given.contact.is_empty() && given.contact != stored.contact {
            return Err(refused("contact", FIXED));
        }
        for path in ALL {
            invoice_field(&mut stored, given, path)?;
        }
        return Ok(stored);
    }
    for path in paths {
        invoice_field(&mut stored, given, path)?;
    }
    Ok(stored)
}

fn invoice_field(stored: &mut v1::Invoice, given: &v1::Invoice, path: &str) -> Result<(), Error> {
    match path {
        "currency_code" => stored.currency_code.clone_from(&given.currency_code),
        "lines" => stored.lines.clone_from(&given.lines),
        "buyer" => stored.buyer.clone_from(&given.buyer),
        "series" => stored.series.clone_from(&given.series),
        "issue_date" => stored.issue_date = given.issue_date,
        "due_date" => stored.due_date = given.due_date,
        "allowance_charges" => stored
            .allowance_charges
            .clone_from(&given.allowance_charges),
        "prepaid_amount" => stored.prepaid_amount.clone_from(&given.prepaid_amount),
        "rounding_amount" => stored.rounding_amount.clone_from(&given.rounding_amount),
        "note" => stored.note.clone_from(&given.note),
        "labels" => stored.labels.clone_from(&given.labels),
        "contact" if given.contact == stored.contact => {}
        "contact" => return Err(refused(path, FIXED)),
        "name"
        | "state"
        | "number"
        | "grant_revision"
        | "policy_revision"
        | "net_total"
        | "tax_total"
        | "gross_total"
        | "payable_total"
        | "tax_subtotals"
        | "line_total"
        | "allowance_total"
        | "charge_total"
        | "etag"
        | "creator"
        | "updater"
        | "create_time"
        | "update_time"
        | "issue_time"
        | "hash"
        | "gross_total_decimal"
        | "net_total_decimal"
        | "tax_total_decimal"
        | "payable_total_decimal" => {}
        _ => match path.split_once('.') {
            Some(("labels", key)) => label(&mut stored.labels, &given.labels, key, path)?,
            Some(("buyer", part)) => {
                let given = given.buyer.clone().unwrap_or_default();
                buyer_field(stored.buyer.get_or_insert_default(), given, part)
                    .ok_or_else(|| refused(path, UNKNOWN))?;
            }
            _ => return Err(refused(path, UNKNOWN)),
        },
    }
    Ok(())
}

fn buyer_field(stored: &mut v1::Buyer, given: v1::Buyer, part: &str) -> Option<()> {
    match part {
        "name" => stored.name = given.name,
        "postal_address" => stored.postal_address = given.postal_address,
        "tax_id" => stored.tax_id = given.tax_id,
        "email" => stored.email = given.email,
        _ => return None,
    }
    Some(())
}

/// The stored project with what the mask names taken from the caller's.
pub fn project(
    mut stored: v1::Project,
    given: &v1::Project,
    paths: &[String],
) -> Result<v1::Project, Error> {
    if matches!(paths, [only] if only == "*") {
        for path in ["display_name", "state", "description", "labels"] {
            project_field(&mut stored, given, path)?;
        }
        return Ok(stored);
    }
    for path in paths {
        project_field(&mut stored, given, path)?;
    }
    Ok(stored)
}

fn project_field(stored: &mut v1::Project, given: &v1::Project, path: &str) -> Result<(), Error> {
    match path {
        "display_name" => stored.display_name.clone_from(&given.display_name),
        "state" => stored.state = given.state,
        "description" => stored.description.clone_from(&given.description),
        "labels" => stored.labels.clone_from(&given.labels),
        "name" | "etag" | "creator" | "updater" | "create_time" | "update_time" => {}
        _ => match path.split_once('.') {
            Some(("labels", key)) => label(&mut stored.labels, &given.labels, key, path)?,
            _ => return Err(refused(path, UNKNOWN)),
        },
    }
    Ok(())
}

/// Takes one label over; a key that the caller's labels lack goes away.
fn label(
    stored: &mut BTreeMap<String, String>,
    given: &BTreeMap<String, String>,
    key: &str,
    path: &str,
) -> Result<(), Error> {
    let letters = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
    };
    if !key.starts_with(|first: char| first.is_ascii_lowercase())
        || key.len() > 63
        || !key.bytes().all(letters)
    {
        return Err(refused(path, "is no key that a label can have"));
    }
    match given.get(key) {
        Some(value) => stored.insert(key.to_owned(), value.clone()),
        None => stored.remove(key),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn stored() -> v1::Invoice {
        v1::Invoice {
            name: "workspaces/w/invoices/i".into(),
            contact: "workspaces/w/contacts/ada".into(),
            currency_code: "EUR".into(),
            note: "old".into(),
            labels: [("tier".into(), "gold".into()), ("team".into(), "a".into())].into(),
            buyer: Some(v1::Buyer {
                name: "Example Ltd".into(),
                ..v1::Buyer::default()
            }),
            ..v1::Invoice::default()
        }
    }

    #[test]
    fn only_what_is_named_changes() {
        let given = v1::Invoice {
            note: "new".into(),
            currency_code: "USD".into(),
            labels: [("tier".into(), "silver".into())].into(),
            buyer: Some(v1::Buyer {
                tax_id: "X1".into(),
                ..v1::Buyer::default()
            }),
            number: "INV-1".into(),
            ..v1::Invoice::default()
        };
        let paths = mask(&[
            "note",
            "labels.tier",
            "labels.team",
            "buyer.tax_id",
            "number",
        ]);
        let found = invoice(stored(), &given, &paths).expect("the mask is right");
        assert_eq!(
            (found.note.as_str(), found.currency_code.as_str()),
            ("new", "EUR")
        );
        assert_eq!(
            found.labels,
            [("tier".to_owned(), "silver".to_owned())].into()
        );
        let buyer = found.buyer.expect("a buyer");
        assert_eq!(
            (buyer.name.as_str(), buyer.tax_id.as_str()),
            ("Example Ltd", "X1")
        );
        assert_eq!(found.number, "");
    }

    #[test]
    fn all_is_a_full_replacement_but_for_the_contact() {
        let given = v1::Invoice {
            currency_code: "USD".into(),
            ..v1::Invoice::default()
        };
        let found = invoice(stored(), &given, &mask(&["*"])).expect("the mask is right");
        assert_eq!(found.contact, "workspaces/w/contacts/ada");
        assert_eq!(
            (found.note.as_str(), found.currency_code.as_str()),
            ("", "USD")
        );
        assert!(found.labels.is_empty() && found.buyer.is_none());
    }

    #[test]
    fn a_mask_names_whole_fields() {
        let named = mask(&["lines", "buyer.name"]);
        assert!(names(&named, "lines[2].unit_price") && names(&named, "buyer.email"));
        assert!(!names(&named, "line") && !names(&named, "note"));
        assert!(names(&mask(&["*"]), "note"));
    }

    #[test]
    fn paths_that_name_nothing_or_what_is_fixed_are_refused() {
        let given = v1::Invoice::default();
        for path in [
            "contact",
            "colour",
            "lines.quantity",
            "labels.A",
            "buyer.age",
            "",
            "Note",
        ] {
            let refused = invoice(stored(), &given, &mask(&[path]));
            assert!(
                matches!(refused, Err(Error::UpdateMaskInvalid { .. })),
                "{path:?}"
            );
        }
        assert_eq!(paths(None), Err(Error::UpdateMaskRequired));
        let both = prost_types::FieldMask {
            paths: mask(&["*", "note"]),
        };
        assert!(matches!(
            paths(Some(&both)),
            Err(Error::UpdateMaskInvalid { .. })
        ));
        let project_mask = project(
            v1::Project::default(),
            &v1::Project::default(),
            &mask(&["x"]),
        );
        assert!(matches!(project_mask, Err(Error::UpdateMaskInvalid { .. })));
    }
}
