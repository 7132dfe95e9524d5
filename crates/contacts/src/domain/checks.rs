//! The rules for a contact's facts that no rule of the proto can state.
//!
//! Every fault is collected: a caller who mends them all is accepted at the next try.

use std::collections::BTreeSet;

use serde_json::Value;

use super::emails::EmailAddress;
use super::facts::Facts;
use super::phones;

/// How many bytes the attributes may have as JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 32 * 1024;

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
    /// Adds one.
    pub fn push(
        &mut self,
        path: impl Into<String>,
        rule: &'static str,
        problem: impl Into<String>,
    ) {
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

/// Brings the facts into the form they are stored in, and adds what is wrong with them: the domain
/// of e-mail addresses in lower case, the E.164 form of phone numbers.
pub fn settle(facts: &mut Facts, faults: &mut Faults) {
    settle_emails(facts, faults);
    settle_phones(facts, faults);
    check_external_ids(facts, faults);
    check_attributes(facts, faults);
}

fn settle_emails(facts: &mut Facts, faults: &mut Faults) {
    let mut primaries = 0;
    for (index, email) in facts.emails.iter_mut().enumerate() {
        match EmailAddress::parse(&email.address) {
            Ok(address) => email.address = address.into_string(),
            Err(refusal) => {
                faults.push(
                    format!("emails[{index}].address"),
                    "email.syntax",
                    refusal.to_string(),
                );
            }
        }
        primaries += usize::from(email.primary);
        if email.primary && primaries > 1 {
            let problem = "must be false: another address is the primary one";
            faults.push(format!("emails[{index}].primary"), "email.primary", problem);
        }
    }
}

fn settle_phones(facts: &mut Facts, faults: &mut Faults) {
    let mut primaries = 0;
    for (index, phone) in facts.phones.iter_mut().enumerate() {
        if is_dialable(&phone.number) {
            phone.e164 = phones::e164(&phone.number, &phone.region).unwrap_or_default();
        } else {
            let problem = "must be a phone number: at least two digits, no control characters";
            faults.push(format!("phones[{index}].number"), "phone.syntax", problem);
        }
        primaries += usize::from(phone.primary);
        if phone.primary && primaries > 1 {
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

fn check_external_ids(facts: &Facts, faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for (index, id) in facts.external_ids.iter().enumerate() {
        if !seen.insert(id) {
            let problem = "must not repeat another external id of the contact";
            faults.push(format!("external_ids[{index}]"), "repeated.unique", problem);
        }
    }
}

fn check_attributes(facts: &Facts, faults: &mut Faults) {
    let Some(attributes) = &facts.attributes else {
        return;
    };
    let bytes = serde_json::to_vec(attributes).map_or(usize::MAX, |json| json.len());
    if bytes > ATTRIBUTES_BYTES_MAX {
        let problem = format!("must have at most {ATTRIBUTES_BYTES_MAX} bytes as JSON");
        faults.push("attributes", "attributes.size", problem);
    }
    let has_nul = |text: &str| text.contains('\0');
    let mut open: Vec<&Value> = attributes.values().collect();
    let mut found = attributes.keys().any(|key| has_nul(key));
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => found |= has_nul(text),
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                found |= fields.keys().any(|key| has_nul(key));
                open.extend(fields.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if found {
        faults.push(
            "attributes",
            "string.nul",
            "must not have the character U+0000",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Email, ExternalId, Phone};
    use super::*;

    fn email(address: &str, primary: bool) -> Email {
        Email {
            address: address.into(),
            primary,
            ..Email::default()
        }
    }

    fn phone(number: &str, region: &str) -> Phone {
        Phone {
            number: number.into(),
            region: region.into(),
            ..Phone::default()
        }
    }

    #[test]
    fn what_is_right_is_brought_into_form() {
        let mut facts = Facts {
            emails: vec![
                email("Ada@Example.COM", true),
                email("b@example.com", false),
            ],
            phones: vec![
                phone("030 123456", "DE"),
                phone("030 123456", ""),
                phone("112", ""),
            ],
            ..Facts::default()
        };
        let mut faults = Faults::default();
        settle(&mut facts, &mut faults);
        assert_eq!(faults, Faults::default());
        assert_eq!(facts.emails[0].address, "Ada@example.com");
        assert_eq!(facts.phones[0].e164, "+4930123456");
        assert_eq!(facts.phones[1].e164, "");
    }

    #[test]
    fn every_fault_is_found() {
        let id = ExternalId {
            system: "erp".into(),
            id: "7".into(),
        };
        let attributes = serde_json::json!({"a": [{"b": "x\u{0}"}], "c": "y".repeat(40_000)});
        let mut facts = Facts {
            emails: vec![email("nobody", true), email("b@example.com", true)],
            phones: vec![phone("ring me", ""), phone("+49\u{7}30", "")],
            external_ids: vec![id.clone(), id],
            attributes: attributes.as_object().cloned(),
            ..Facts::default()
        };
        let mut faults = Faults::default();
        settle(&mut facts, &mut faults);
        let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
        let expected = [
            "emails[0].address",
            "emails[1].primary",
            "phones[0].number",
            "phones[1].number",
            "external_ids[1]",
            "attributes",
            "attributes",
        ];
        assert_eq!(paths, expected);
    }
}
