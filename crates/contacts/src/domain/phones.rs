//! Phone numbers: when a number as typed has an E.164 form.
//!
//! Invariant: no region is ever guessed. A number has an E.164 form only if it names its country
//! itself (`+49 ...`) or the caller says explicitly in which region it is to be read; otherwise it
//! stays as typed and nothing more.

use phonenumber::metadata::{DATABASE, Database};
use phonenumber::{Mode, country};

/// The most bytes a number may have, as in `contacts.v1.Phone.number`.
pub const NUMBER_LEN_MAX: usize = 100;

/// The E.164 form of `number`, such as `+4930123456`, without its extension.
///
/// `region` is an ISO 3166-1 alpha-2 code and counts only where the number names no country; empty
/// means that the region is not known. None where the country is not known or the number is not
/// one that the country's numbering plan knows.
///
/// ```
/// use contacts::domain::phones::e164;
/// assert_eq!(e164("030 123456", "DE").as_deref(), Some("+4930123456"));
/// assert_eq!(e164("tel:+49-30-123456", "").as_deref(), Some("+4930123456"));
/// assert_eq!(e164("030 123456", ""), None);
/// ```
pub fn e164(number: &str, region: &str) -> Option<String> {
    let number = number.trim();
    if number.len() > NUMBER_LEN_MAX {
        return None;
    }
    let country = if names_its_country(number) {
        None
    } else {
        Some(
            region
                .parse::<country::Id>()
                .ok()
                .filter(|_| is_region(region))?,
        )
    };
    let parsed = phonenumber::parse(country, number).ok()?;
    if !parsed.is_valid() {
        return None;
    }
    let text = parsed.format().mode(Mode::E164).to_string();
    is_e164(&text).then_some(text)
}

/// Reads the numbering plans of all countries. The call that meets the first number waits for that
/// otherwise, where the code is not optimised up to its whole deadline.
pub fn load_plans() {
    let _plans: &Database = &DATABASE;
}

/// Whether `region` is written as an ISO 3166-1 alpha-2 code, which says nothing of its existence.
pub fn is_region(region: &str) -> bool {
    region.len() == 2 && region.bytes().all(|b| b.is_ascii_uppercase())
}

/// A plus sign (plain or full width) at the beginning, or an RFC 3966 number with a global context.
fn names_its_country(number: &str) -> bool {
    let bare = match number.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &number[4..],
        _ => number,
    };
    bare.trim_start_matches(['(', ' '])
        .starts_with(['+', '\u{ff0b}'])
        || bare.contains(";phone-context=+")
}

/// A plus sign and at most fifteen digits (ITU-T E.164), the first of them not zero.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (3..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_country_is_never_given_one() {
        for number in [
            "(201) 555-0123",
            "2015550123",
            "0049 30 123456",
            "1-201-555-0123",
            "911",
        ] {
            assert_eq!(e164(number, ""), None, "{number}");
        }
    }

    #[test]
    fn the_number_s_own_country_wins_over_the_region() {
        assert_eq!(e164("+49 30 123456", "US").as_deref(), Some("+4930123456"));
        assert_eq!(
            e164("tel:+1-201-555-0123;ext=102", "").as_deref(),
            Some("+12015550123")
        );
        assert_eq!(
            e164(" +1 (201) 555-0123 ", "").as_deref(),
            Some("+12015550123")
        );
    }

    #[test]
    fn junk_has_no_form() {
        for (number, region) in [
            ("", "US"),
            ("BusinessPhone", "US"),
            ("+", ""),
            ("+999", ""),
            ("12", "DE"),
        ] {
            assert_eq!(e164(number, region), None, "{number}");
        }
        for region in ["us", "USA", "ZZ", "1"] {
            assert_eq!(e164("2015550123", region), None, "{region}");
        }
        assert_eq!(e164(&"1".repeat(NUMBER_LEN_MAX + 1), "US"), None);
    }
}
