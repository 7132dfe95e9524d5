//! What a single cell says: one or several addresses, categories, a label.

use super::export::BETWEEN;
use super::row::RowRefusal;
use crate::domain::emails::EmailAddress;

/// The relationship kinds of `contacts.v1.Contact`, in lower case.
const RELATIONSHIP_KINDS: [&str; 7] = [
    "customer", "vendor", "supplier", "partner", "investor", "employee", "adviser",
];

/// Whether a text is one of the relationship kinds, in lower case.
pub fn is_relationship_kind(text: &str) -> bool {
    RELATIONSHIP_KINDS.contains(&text)
}

/// Several texts in one cell, as Google Contacts separates them; in our own layout always one.
pub fn several(cell: &str, own: bool) -> Vec<String> {
    if own {
        return vec![cell.to_owned()];
    }
    let parts = cell
        .split(BETWEEN)
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// The label without the star with which Google Contacts marks the one to use; None without one.
pub fn without_star(label: &str) -> Option<&str> {
    label.strip_prefix('*').map(str::trim)
}

/// Labels that every program has are written in lower case, others as they are; how mail reaches
/// the address is no label.
pub fn plain_label(label: &str) -> String {
    const COMMON: [&str; 12] = [
        "home", "work", "other", "mobile", "main", "fax", "pager", "custom", "home fax",
        "work fax", "smtp", "ex",
    ];
    let lower = label.to_lowercase();
    match lower.as_str() {
        "smtp" | "ex" => String::new(),
        _ if COMMON.contains(&lower.as_str()) => lower,
        _ => label.to_owned(),
    }
}

/// Several categories in one cell: as Google Contacts, Outlook or Mailchimp separate them.
pub fn categories(cell: &str, own: bool) -> Vec<&str> {
    if own {
        return cell.split(BETWEEN).collect();
    }
    let separator = [BETWEEN, ";", ","]
        .into_iter()
        .find(|one| cell.contains(one));
    let parts = separator.map_or_else(|| vec![cell], |one| cell.split(one).collect());
    parts
        .into_iter()
        .map(|part| {
            part.trim()
                .trim_start_matches("* ")
                .trim_matches('"')
                .trim()
        })
        .filter(|part| !part.is_empty())
        .collect()
}

pub fn email_address(text: &str) -> Result<String, RowRefusal> {
    EmailAddress::parse(text)
        .map(EmailAddress::into_string)
        .map_err(RowRefusal::EmailInvalid)
}

/// One address, or several with the separators that programs use between.
pub fn email_addresses(cell: &str) -> Result<Vec<String>, RowRefusal> {
    let one = email_address(cell);
    if one.is_ok() {
        return one.map(|address| vec![address]);
    }
    let parts = cell.split([';', ',']).flat_map(|part| part.split(BETWEEN));
    let parts: Vec<&str> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < 2 {
        return one.map(|address| vec![address]);
    }
    parts.into_iter().map(email_address).collect()
}

pub fn is_yes(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "true" | "yes" | "1")
}

/// `2015-03-16 14:40:47` as `2015-03-16T14:40:47`; any other text as it is.
pub fn moment(cell: &str) -> String {
    let shape: String = cell
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if shape == "0000-00-00 00:00:00" {
        cell.replace(' ', "T")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_in_a_cell_are_told_apart() {
        let addresses = |cell: &str| email_addresses(cell).map(|list| list.join(" "));
        assert_eq!(
            addresses("a@example.com ::: b@Example.com").unwrap(),
            "a@example.com b@example.com"
        );
        assert_eq!(
            addresses("a@example.com; b@example.com,").unwrap(),
            "a@example.com b@example.com"
        );
        assert!(addresses("a@example.com, nobody").is_err());
        assert!(addresses("Ada <a@example.com>").is_err());
        assert_eq!(
            categories("* myContacts ::: * VIP, gold", false),
            ["myContacts", "VIP, gold"]
        );
        assert_eq!(categories("\"VIP\",\"gold\"", false), ["VIP", "gold"]);
        assert_eq!(categories("VIP;gold;", false), ["VIP", "gold"]);
        assert_eq!(plain_label("Work"), "work");
        assert_eq!(plain_label("My own"), "My own");
        assert_eq!(moment("2015-03-16 14:40:47"), "2015-03-16T14:40:47");
        assert_eq!(moment("yesterday"), "yesterday");
    }
}
