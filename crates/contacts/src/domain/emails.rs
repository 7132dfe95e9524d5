//! E-mail addresses: which texts are one, and the form they are stored in.
//!
//! The grammar is the one of HTML forms (RFC 5322 without comments, quoted strings, display names
//! and address literals; ASCII only), which is what browsers and the `string.email` rule of
//! protovalidate accept, with one rule more: the domain has at least two labels, because
//! `ada@localhost` reaches nobody from a directory. The `email_address` crate was tried: it refuses
//! addresses that real providers gave out (`a..b@`, long local parts) and takes quoted and
//! non-ASCII ones.
//!
//! Invariant: nothing is trimmed or repaired here; a text either is an address or is refused.

use std::fmt;

/// The most bytes an address may have, as in `contacts.v1.Email.address`.
pub const ADDRESS_LEN_MAX: usize = 320;

/// The most bytes a domain may have (RFC 1035).
const DOMAIN_LEN_MAX: usize = 253;

/// The most bytes a label of a domain may have (RFC 1035).
const LABEL_LEN_MAX: usize = 63;

/// A valid e-mail address in its stored form: local part as written, domain in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

impl EmailAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    ///
    /// ```
    /// use contacts::domain::emails::EmailAddress;
    /// let address = EmailAddress::parse("Ada.L@Example.COM").expect("an address");
    /// assert_eq!(address.as_str(), "Ada.L@example.com");
    /// assert_eq!(address.lookup_key(), "ada.l@example.com");
    /// assert!(EmailAddress::parse("Ada <ada@example.com>").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, EmailRefusal> {
        let at = Self::check(text)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        Ok(Self {
            text: format!("{local}@{}", domain.to_ascii_lowercase()),
            at,
        })
    }

    /// Whether a text is an address, without keeping it; where its `@` is.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn check(text: &str) -> Result<usize, EmailRefusal> {
        if text.len() > ADDRESS_LEN_MAX {
            return Err(EmailRefusal::TooLong);
        }
        if !text.is_ascii() {
            return Err(EmailRefusal::NotAscii);
        }
        let Some(at) = text.rfind('@') else {
            return Err(EmailRefusal::AtMissing);
        };
        let (local, domain) = (&text[..at], &text[at + 1..]);
        if local.is_empty() || !local.bytes().all(is_local_byte) {
            return Err(EmailRefusal::LocalPart);
        }
        check_domain(domain)?;
        Ok(at)
    }

    /// The address as it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, as written.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`, in lower case.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The form in which two addresses are compared: providers do not tell mailboxes apart by case.
    pub fn lookup_key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The address as it is stored and shown.
    pub fn into_string(self) -> String {
        self.text
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not taken as an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailRefusal {
    /// There is no `@`.
    #[error("has no @")]
    AtMissing,
    /// Longer than [`ADDRESS_LEN_MAX`].
    #[error("is longer than 320 bytes")]
    TooLong,
    /// Holds characters outside ASCII; international domains are written in their `xn--` form.
    #[error("holds characters outside ASCII")]
    NotAscii,
    /// The part before the `@` is empty or holds a character that needs quoting.
    #[error("has no valid part before the @")]
    LocalPart,
    /// The domain is not labels of letters, digits and inner hyphens, joined by dots.
    #[error("has no valid domain")]
    Domain,
    /// The domain is a single label.
    #[error("has a domain without a dot")]
    DomainWithoutDot,
}

/// The characters that RFC 5322 allows unquoted, and the dot.
fn is_local_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte)
}

fn check_domain(domain: &str) -> Result<(), EmailRefusal> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LEN_MAX
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > DOMAIN_LEN_MAX || !domain.split('.').all(is_label) {
        return Err(EmailRefusal::Domain);
    }
    if domain.contains('.') {
        Ok(())
    } else {
        Err(EmailRefusal::DomainWithoutDot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_lower_cased_and_the_local_part_is_not() {
        let address = EmailAddress::parse("Ada+CRM@Mail.Example.COM").unwrap();
        assert_eq!(address.as_str(), "Ada+CRM@mail.example.com");
        assert_eq!(address.local_part(), "Ada+CRM");
        assert_eq!(address.domain(), "mail.example.com");
        assert_eq!(address.to_string(), address.clone().into_string());
    }

    #[test]
    fn each_rule_has_its_own_refusal() {
        let cases = [
            ("ada", EmailRefusal::AtMissing),
            ("@example.com", EmailRefusal::LocalPart),
            ("a b@example.com", EmailRefusal::LocalPart),
            ("\"a\"@example.com", EmailRefusal::LocalPart),
            ("Ada <ada@example.com>", EmailRefusal::LocalPart),
            ("ada@", EmailRefusal::Domain),
            ("ada@example.com.", EmailRefusal::Domain),
            ("ada@[127.0.0.1]", EmailRefusal::Domain),
            ("ada@example", EmailRefusal::DomainWithoutDot),
            ("ada@b\u{fc}cher.example", EmailRefusal::NotAscii),
        ];
        for (text, refusal) in cases {
            assert_eq!(EmailAddress::parse(text), Err(refusal), "{text}");
        }
        let long = format!("{}@example.com", "a".repeat(ADDRESS_LEN_MAX));
        assert_eq!(EmailAddress::parse(&long), Err(EmailRefusal::TooLong));
    }
}
