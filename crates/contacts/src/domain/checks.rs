//! The rules for a contact's facts that no rule of the proto can state.
//!
//! Every fault is collected: a caller who mends them all is accepted at the next try.

use std::collections::BTreeSet;

use super::emails::EmailAddress;
use super::facts::Facts;
use super::phones;

/// How many bytes the attributes may have as JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 32 * 1024;

/// How many faults are kept: more than a contact within the proto's limits can have.
const FAULTS_MAX: usize = 500;

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field's path within the contact, such as `emails[0].address`.
    pub path: String,
    /// The rule's id, such as `email.syntax`.
    pub rule: &'static str,
    /// What the field must be, to be read after its path; it never repeats the value.
    pub problem: String,
}

/// The faults found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Adds one, unless there are so many that no more helps.
    pub fn push(
        &mut self,
        path: impl Into<String>,
        rule: &'static str,
        problem: impl Into<String>,
    ) {
        if self.0.len() == FAULTS_MAX {
            return;
        }
        self.0.push(Fault {
            path: path.into(),
            rule,
            problem: problem.into(),
        });
    }

    /// `value` if nothing is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

/// Brings facts that broke no rule into the form they are stored in: the domain of e-mail addresses
/// in lower case, the E.164 form of phone numbers.
pub fn settle(facts: &mut Facts) {
    for email in &mut facts.emails {
        if let Ok(address) = EmailAddress::parse(&email.address) {
            email.address = address.into_string();
        }
    }
    for phone in &mut facts.phones {
        phone.e164 = phones::e164(&phone.number, &phone.region).unwrap_or_default();
    }
}

/// Adds what is wrong with e-mail addresses: each with whether it is the primary one.
pub fn emails<'a>(emails: impl Iterator<Item = (&'a str, bool)>, faults: &mut Faults) {
    let mut primaries = 0;
    for (index, (address, is_primary)) in emails.enumerate() {
        if let Err(refusal) = EmailAddress::check(address) {
            let path = format!("emails[{index}].address");
            faults.push(path, "email.syntax", refusal.to_string());
        }
        primaries += usize::from(is_primary);
        if is_primary && primaries > 1 {
            let problem = "must be false: another address is the primary one";
            faults.push(format!("emails[{index}].primary"), "email.primary", problem);
        }
    }
}

/// Adds what is wrong with phone numbers: each with whether it is the primary one.
pub fn phones<'a>(numbers: impl Iterator<Item = (&'a str, bool)>, faults: &mut Faults) {
    let mut primaries = 0;
    for (index, (number, is_primary)) in numbers.enumerate() {
        if !is_dialable(number) {
            let problem = "must be a phone number: at least two digits, no control characters";
            faults.push(format!("phones[{index}].number"), "phone.syntax", problem);
        }
        primaries += usize::from(is_primary);
        if is_primary && primaries > 1 {
            let problem = "must be false: another number is the primary one";
            faults.push(format!("phones[{index}].primary"), "phone.primary", problem);
        }
    }
}

/// Whether a text may be a phone number as somebody types one. Service numbers are short, and
/// letters stand for digits or an extension.
pub fn is_dialable(number: &str) -> bool {
    let digits = number.chars().filter(|c| c.is_numeric()).count();
    digits >= 2 && !number.chars().any(char::is_control)
}

/// Adds the external ids, as systems and keys, that stand there twice.
pub fn external_ids<'a>(
    ids: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    faults: &mut Faults,
) {
    if ids.len() < 2 {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            let problem = "must not repeat another external id of the contact";
            faults.push(format!("external_ids[{index}]"), "repeated.unique", problem);
        }
    }
}

/// Adds attributes that are too large, by the bytes that they have as JSON.
pub fn attributes(json_bytes: usize, faults: &mut Faults) {
    if json_bytes > ATTRIBUTES_BYTES_MAX {
        let problem = format!("must have at most {ATTRIBUTES_BYTES_MAX} bytes as JSON");
        faults.push("attributes", "attributes.size", problem);
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Email, Phone};
    use super::*;

    #[test]
    fn what_is_right_is_brought_into_form() {
        let phone = |number: &str, region: &str| Phone {
            number: number.into(),
            region: region.into(),
            ..Phone::default()
        };
        let mut facts = Facts {
            emails: vec![Email {
                address: "Ada@Example.COM".into(),
                ..Email::default()
            }],
            phones: vec![
                phone("030 123456", "DE"),
                phone("030 123456", ""),
                phone("112", ""),
            ],
            ..Facts::default()
        };
        settle(&mut facts);
        assert_eq!(facts.emails[0].address, "Ada@example.com");
        assert_eq!(facts.phones[0].e164, "+4930123456");
        assert_eq!(facts.phones[1].e164, "");
    }

    #[test]
    fn what_is_right_has_no_fault() {
        let mut faults = Faults::default();
        let addresses = [("ada@example.com", true), ("b@example.com", false)];
        emails(addresses.into_iter(), &mut faults);
        phones([("112", true), ("030 1", false)].into_iter(), &mut faults);
        external_ids([("erp", "7"), ("crm", "7")].into_iter(), &mut faults);
        attributes(ATTRIBUTES_BYTES_MAX, &mut faults);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn every_fault_is_found() {
        let mut faults = Faults::default();
        let addresses = [("nobody", true), ("b@example.com", true)];
        emails(addresses.into_iter(), &mut faults);
        let numbers = [("ring me", true), ("+49\u{7}30", true)];
        phones(numbers.into_iter(), &mut faults);
        external_ids([("erp", "7"), ("erp", "7")].into_iter(), &mut faults);
        attributes(ATTRIBUTES_BYTES_MAX + 1, &mut faults);
        let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
        let expected = [
            "emails[0].address",
            "emails[1].primary",
            "phones[0].number",
            "phones[1].number",
            "phones[1].primary",
            "external_ids[1]",
            "attributes",
        ];
        assert_eq!(paths, expected);
    }
}
