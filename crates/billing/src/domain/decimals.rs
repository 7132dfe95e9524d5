//! Decimal text of the wire (`google.type.Decimal`) and back.
//!
//! Invariant: a parsed number has at most fifteen digits before the point and nine after it, so
//! the exact products of `totals` fit into 128 bits or are known not to.

use rust_decimal::Decimal;

/// Digits before the point, at most.
const INTEGER_DIGITS_MAX: usize = 15;
/// Digits after the point, at most (EN 16931 sets no bound; nine is that of `google.type.Money`).
const SCALE_MAX: u32 = 9;
/// Bytes of a number's text, at most.
const TEXT_BYTES_MAX: usize = 100;

/// Why a text is not a number that can be computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is not of the form that `google.type.Decimal` has.
    #[error("must be a decimal number such as 12.5")]
    Malformed,
    /// It has more than nine digits after the point.
    #[error("must have at most nine decimals")]
    TooFine,
    /// It has more than fifteen digits before the point.
    #[error("must have at most fifteen digits before the point")]
    TooLarge,
}

/// The number that `text` stands for: `[+-]digits[.digits][e[+-]digits]`, with a digit before or
/// after the point; nothing at all is zero (google/type/decimal.proto). Zeros at the end don't
/// count: `1.50` is `1.5`.
pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
    if text.is_empty() {
        return Ok(Decimal::ZERO);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(DecimalError::Malformed);
    }
    let (negative, unsigned) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(integer) || !all_digits(fraction) || integer.len() + fraction.len() == 0 {
        return Err(DecimalError::Malformed);
    }
    let digits = format!("{integer}{fraction}");
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| DecimalError::Malformed)?;
    scaled(negative, &digits, exponent - fraction_len)
}

/// The number `digits * 10^exponent`.
fn scaled(negative: bool, digits: &str, mut exponent: i64) -> Result<Decimal, DecimalError> {
    let significant = digits.trim_start_matches('0');
    let shortest = significant.trim_end_matches('0');
    if shortest.is_empty() {
        return Ok(Decimal::ZERO);
    }
    exponent += i64::try_from(significant.len() - shortest.len()).unwrap_or_default();
    let scale = u32::try_from((-exponent).max(0)).map_err(|_| DecimalError::TooFine)?;
    if scale > SCALE_MAX {
        return Err(DecimalError::TooFine);
    }
    let zeros = usize::try_from(exponent.max(0)).map_err(|_| DecimalError::TooLarge)?;
    if (shortest.len() + zeros).saturating_sub(scale as usize) > INTEGER_DIGITS_MAX {
        return Err(DecimalError::TooLarge);
    }
    let mantissa: i128 = format!("{shortest}{}", "0".repeat(zeros))
        .parse()
        .map_err(|_| DecimalError::TooLarge)?;
    let signed = if negative { -mantissa } else { mantissa };
    Decimal::try_from_i128_with_scale(signed, scale).map_err(|_| DecimalError::TooLarge)
}

fn parse_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    // An exponent that does not fit is out of range in any case; the sign says in which way.
    let beyond = if text.starts_with('-') { -1_000 } else { 1_000 };
    Ok(text
        .parse::<i64>()
        .map_or(beyond, |exponent| exponent.clamp(-1_000, 1_000)))
}

/// The shortest text of a number, without an exponent: `12.5`, `-0.05`, `3`.
#[must_use]
pub fn render(number: Decimal) -> String {
    number.normalize().to_string()
}

/// Keeps numbers as text in stored JSON.
pub(crate) mod text {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &Decimal, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&super::render(*number))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
        let text = String::deserialize(input)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_the_wire_are_read_exactly() {
        for (text, expected) in [
            ("", "0"),
            ("0", "0"),
            ("-0", "0"),
            ("00.0", "0"),
            ("19.00", "19"),
            ("+2.5", "2.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-1.75", "-1.75"),
            ("2.5e8", "250000000"),
            ("2500E-2", "25"),
            ("0.000000001", "0.000000001"),
            ("1.0000000000000000000000000000000000000000", "1"),
            ("999999999999999.999999999", "999999999999999.999999999"),
            ("0e99999999999999999999", "0"),
        ] {
            assert_eq!(parse(text).map(render).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            " ",
            "1 ",
            ".",
            "-",
            "+",
            "e1",
            "1e",
            "1e+",
            "--1",
            "1,5",
            "1_000",
            "0x1",
            "NaN",
            "inf",
            "1.2.3",
            "1e1.5",
            "١",
            "1\0",
            &"1".repeat(101),
        ] {
            assert_eq!(parse(text), Err(DecimalError::Malformed), "{text:?}");
        }
        assert_eq!(parse("0.0000000001"), Err(DecimalError::TooFine));
        assert_eq!(parse("1e-99999999999999999999"), Err(DecimalError::TooFine));
        assert_eq!(parse("1000000000000000"), Err(DecimalError::TooLarge));
        assert_eq!(parse("1e99999999999999999999"), Err(DecimalError::TooLarge));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,120}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(
            mantissa in -999_999_999_999_999_i64..=999_999_999_999_999,
            scale in 0_u32..=9,
        ) {
            let number = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse(&render(number)), Ok(number));
        }
    }
}
