//! Between what travels and what the services compute with: moments, roles, money, decimals, days.
//!
//! `x_to_wire` can't fail; `x_from_wire` checks everything that the public protos of google.type
//! demand in words.

use std::fmt;

use jiff::civil;
use prost_types::Timestamp;
use rust_decimal::Decimal;
use types::{Currency, Micros, MoneyError, Role};

use crate::contacts::v1;
use crate::google::r#type as wire;

/// Why a value can't be taken: the id of the rule it breaks and what it must be, ready for
/// [`crate::Violations::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The rule's id, such as `money.sign`.
    pub rule: &'static str,
    /// What the value must be, to be read after the field's path.
    pub description: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description)
    }
}

impl std::error::Error for Invalid {}

const fn invalid(rule: &'static str, description: &'static str) -> Invalid {
    Invalid { rule, description }
}

/// The Timestamp of an instant.
pub fn timestamp_to_wire(instant: Micros) -> Timestamp {
    let (seconds, nanos) = instant.seconds_and_nanos();
    Timestamp { seconds, nanos }
}

/// The instant of a Timestamp; what is finer than a microsecond is cut off.
pub fn timestamp_from_wire(timestamp: &Timestamp) -> Result<Micros, Invalid> {
    Micros::from_seconds_and_nanos(timestamp.seconds, timestamp.nanos)
        .filter(|_| (0..=999_999_999).contains(&timestamp.nanos))
        .ok_or(invalid(
            "timestamp.range",
            "must be a moment in the years 1 to 9999",
        ))
}

/// The wire's role; `ROLE_UNSPECIFIED` where there is no position.
pub fn role_to_wire(role: Option<Role>) -> v1::Role {
    match role {
        None => v1::Role::Unspecified,
        Some(Role::Contact) => v1::Role::Contact,
        Some(Role::Lead) => v1::Role::Lead,
        Some(Role::Prospect) => v1::Role::Prospect,
        Some(Role::Client) => v1::Role::Client,
    }
}

/// The role that a number on the wire stands for. A number of a later version counts as
/// unspecified, that is as no role (AIP-216).
pub fn role_from_wire(role: i32) -> Option<Role> {
    match v1::Role::try_from(role).unwrap_or_default() {
        v1::Role::Unspecified => None,
        v1::Role::Contact => Some(Role::Contact),
        v1::Role::Lead => Some(Role::Lead),
        v1::Role::Prospect => Some(Role::Prospect),
        v1::Role::Client => Some(Role::Client),
    }
}

/// The wire's Money of an amount.
pub fn money_to_wire(money: types::Money) -> wire::Money {
    let (units, nanos) = money.units_and_nanos();
    wire::Money {
        currency_code: money.currency.code().to_owned(),
        units,
        nanos,
    }
}

/// The amount of a Money: a currency of ISO 4217, units and nanos of one sign, no fraction of the
/// currency's smallest unit, and at most `i64` of those.
pub fn money_from_wire(money: &wire::Money) -> Result<types::Money, Invalid> {
    let currency: Currency = money.currency_code.parse().map_err(|_| {
        invalid(
            "money.currency_code",
            "must have the ISO 4217 code of a currency in use",
        )
    })?;
    let nanos = i64::from(money.nanos);
    if nanos.abs() > 999_999_999 {
        return Err(invalid(
            "money.nanos",
            "must have nanos from -999,999,999 to 999,999,999",
        ));
    }
    if money.units.signum() * nanos.signum() < 0 {
        return Err(invalid(
            "money.sign",
            "must have units and nanos of one sign",
        ));
    }
    // Both parts are exact, so the sum is: at most nineteen digits before the point, nine after.
    let amount = Decimal::from(money.units) + Decimal::new(nanos, 9);
    types::Money::exact(amount, currency).map_err(|error| match error {
        MoneyError::TooFine => invalid(
            "money.minor_units",
            "must not have a fraction of the currency's smallest unit",
        ),
        MoneyError::TooLarge | MoneyError::CurrencyMismatch => invalid(
            "money.range",
            "must not be larger than can be computed with",
        ),
    })
}

/// The wire's Decimal of a number, without trailing zeros after the point.
pub fn decimal_to_wire(decimal: Decimal) -> wire::Decimal {
    wire::Decimal {
        value: decimal.normalize().to_string(),
    }
}

/// The number of a Decimal: a sign where needed, digits, and a point with digits after it. Exponents
/// are refused, and so is what has more than 28 digits.
pub fn decimal_from_wire(decimal: &wire::Decimal) -> Result<Decimal, Invalid> {
    const WRONG: Invalid = invalid(
        "decimal.format",
        "must be digits with or without a sign and a point, such as -2.50, at most 28 of them",
    );
    let text = decimal.value.as_str();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || digits.len() > 29 {
        return Err(WRONG);
    }
    Decimal::from_str_exact(text).map_err(|_| WRONG)
}

/// The wire's Date of a day.
pub fn date_to_wire(date: civil::Date) -> wire::Date {
    wire::Date {
        year: i32::from(date.year()),
        month: i32::from(date.month()),
        day: i32::from(date.day()),
    }
}

/// The day of a Date. A year, month or day left out (0) is refused.
pub fn date_from_wire(date: &wire::Date) -> Result<civil::Date, Invalid> {
    const WRONG: Invalid = invalid(
        "date.calendar",
        "must be a day of the calendar in the years 1 to 9999",
    );
    let year = i16::try_from(date.year)
        .ok()
        .filter(|year| (1..=9999).contains(year));
    let (month, day) = (i8::try_from(date.month).ok(), i8::try_from(date.day).ok());
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => {
            civil::Date::new(year, month, day).map_err(|_| WRONG)
        }
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(code: &str, units: i64, nanos: i32) -> wire::Money {
        wire::Money {
            currency_code: code.to_owned(),
            units,
            nanos,
        }
    }

    #[test]
    fn money_round_trips() {
        for (value, minor_units) in [
            (money("EUR", 0, 50_000_000), 5),
            (money("EUR", 19, 50_000_000), 1905),
            (money("EUR", -1, -750_000_000), -175),
            (money("JPY", 7, 0), 7),
            (money("KWD", 1, 1_000_000), 1001),
            (money("EUR", 0, 0), 0),
        ] {
            let taken = money_from_wire(&value).expect("good money");
            assert_eq!(taken.minor_units, minor_units);
            assert_eq!(money_to_wire(taken), value);
        }
    }

    #[test]
    fn bad_money_names_its_rule() {
        for (value, rule) in [
            (money("", 1, 0), "money.currency_code"),
            (money("eur", 1, 0), "money.currency_code"),
            (money("EUR", 1, -1), "money.sign"),
            (money("EUR", -1, 10_000_000), "money.sign"),
            (money("EUR", 0, 1_000_000_000), "money.nanos"),
            (money("EUR", 0, i32::MIN), "money.nanos"),
            (money("EUR", 0, 5_000_000), "money.minor_units"),
            (money("JPY", 0, 500_000_000), "money.minor_units"),
            (money("EUR", i64::MAX, 0), "money.range"),
        ] {
            assert_eq!(
                money_from_wire(&value).map_err(|invalid| invalid.rule),
                Err(rule)
            );
        }
    }

    #[test]
    fn decimals_are_plain_digits() {
        let number = |text: &str| {
            decimal_from_wire(&wire::Decimal {
                value: text.to_owned(),
            })
        };
        for (text, canonical) in [("-2.50", "-2.5"), ("+3", "3"), ("0", "0"), ("007", "7")] {
            let taken = number(text).expect("a decimal");
            assert_eq!(decimal_to_wire(taken).value, canonical);
        }
        for wrong in [
            "", "-", ".5", "5.", "1e3", "1,5", "1_000", " 1", "NaN", "٣", "--1",
        ] {
            assert!(number(wrong).is_err(), "{wrong:?} must be refused");
        }
        assert!(number(&"9".repeat(30)).is_err());
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        let day = |year, month, day| date_from_wire(&wire::Date { year, month, day });
        let leap = day(2024, 2, 29).expect("a leap day");
        assert_eq!(
            date_to_wire(leap),
            wire::Date {
                year: 2024,
                month: 2,
                day: 29
            }
        );
        for wrong in [
            day(2023, 2, 29),
            day(0, 1, 1),
            day(2024, 0, 1),
            day(2024, 13, 1),
        ] {
            assert!(wrong.is_err());
        }
        assert!(day(70_000, 1, 1).is_err());
        assert!(day(2024, 257, 1).is_err());
    }

    #[test]
    fn moments_round_trip_to_the_microsecond() {
        let instant = Micros(-1);
        let timestamp = timestamp_to_wire(instant);
        assert_eq!(timestamp_from_wire(&timestamp), Ok(instant));
        let wrong = Timestamp {
            seconds: 0,
            nanos: -1,
        };
        assert!(timestamp_from_wire(&wrong).is_err());
        let far = Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert!(timestamp_from_wire(&far).is_err());
    }

    #[test]
    fn roles_round_trip_and_unknown_ones_are_none() {
        for role in Role::ALL {
            assert_eq!(role_from_wire(role_to_wire(Some(role)) as i32), Some(role));
        }
        assert_eq!(role_to_wire(None) as i32, 0);
        assert_eq!(role_from_wire(99), None);
    }
}
