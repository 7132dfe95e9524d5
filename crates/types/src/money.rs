//! Money: whole minor units of an ISO 4217 currency, never floating point.

use std::fmt;
use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Codes that the currency table still has and ISO 4217 has moved to its list of historic ones.
const WITHDRAWN: [&str; 5] = ["BGN", "CUC", "HRK", "SLL", "ZWL"];

/// A currency of ISO 4217 that has a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

/// The text is not the code of a currency that amounts can be kept in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the three-letter ISO 4217 code of a currency in use, such as EUR")]
pub struct CurrencyUnknown;

impl Currency {
    /// The alphabetic code, three capitals.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for EUR, 0 for JPY, 3 for KWD, 4 for CLF.
    #[must_use]
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl FromStr for Currency {
    type Err = CurrencyUnknown;

    /// Codes without a minor unit (gold, testing) are refused: nothing can be owed in them. So are
    /// those that ISO 4217 has withdrawn.
    fn from_str(code: &str) -> Result<Self, CurrencyUnknown> {
        if WITHDRAWN.contains(&code) {
            return Err(CurrencyUnknown);
        }
        let currency = iso_currency::Currency::from_code(code).ok_or(CurrencyUnknown)?;
        currency.exponent().ok_or(CurrencyUnknown)?;
        Ok(Self(currency))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money in minor units: 1050 EUR is ten euro fifty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Whole minor units, negative where money flows the other way.
    pub minor_units: i64,
    /// The currency they are units of.
    pub currency: Currency,
}

/// Why amounts could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amounts are in two currencies.
    #[error("both amounts must be in one currency")]
    CurrencyMismatch,
    /// The result does not fit.
    #[error("the amount is too large")]
    TooLarge,
    /// The amount has more digits after the point than the currency knows.
    #[error("the amount has a fraction of the currency's smallest unit")]
    TooFine,
}

impl Money {
    /// Nothing, in `currency`.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            minor_units: 0,
            currency,
        }
    }

    /// The sum of two amounts of one currency.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor_units = self
            .minor_units
            .checked_add(other.minor_units)
            .ok_or(MoneyError::TooLarge)?;
        Ok(Self {
            minor_units,
            ..self
        })
    }

    /// What is left of this amount after `other` of the same currency is taken away.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor_units = self
            .minor_units
            .checked_sub(other.minor_units)
            .ok_or(MoneyError::TooLarge)?;
        Ok(Self {
            minor_units,
            ..self
        })
    }

    /// `amount` in major units, rounded half away from zero to the currency's minor unit
    /// (EN 16931, BR-DEC rules).
    pub fn rounded(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let exponent = currency.exponent();
        let rounded =
            amount.round_dp_with_strategy(exponent, RoundingStrategy::MidpointAwayFromZero);
        let scale = Decimal::from(10_i64.pow(exponent));
        let minor_units = rounded
            .checked_mul(scale)
            .and_then(|units| units.to_i64())
            .ok_or(MoneyError::TooLarge)?;
        Ok(Self {
            minor_units,
            currency,
        })
    }

    /// `amount` in major units, which must have no more digits than the currency knows.
    pub fn exact(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let money = Self::rounded(amount, currency)?;
        if money.amount() == amount {
            Ok(money)
        } else {
            Err(MoneyError::TooFine)
        }
    }

    /// The amount in major units, with as many digits as the currency has.
    #[must_use]
    pub fn amount(self) -> Decimal {
        Decimal::new(self.minor_units, self.currency.exponent())
    }

    /// Whole units and nanos of `google.type.Money`: both of one sign, |nanos| below 10^9.
    #[must_use]
    pub fn units_and_nanos(self) -> (i64, i32) {
        let scale = 10_i64.pow(self.currency.exponent());
        let nanos = (self.minor_units % scale) * (1_000_000_000 / scale);
        (
            self.minor_units / scale,
            i32::try_from(nanos).unwrap_or_default(),
        )
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Money {
        let amount = Decimal::from_str(text).expect("a decimal");
        Money::rounded(amount, code.parse().expect("a currency")).expect("it fits")
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(money("0.125", "EUR").minor_units, 13);
        assert_eq!(money("-0.125", "EUR").minor_units, -13);
        assert_eq!(money("0.5", "JPY").minor_units, 1);
        assert_eq!(money("1.0005", "KWD").minor_units, 1001);
    }

    #[test]
    fn units_and_nanos_share_their_sign() {
        assert_eq!(money("0.05", "EUR").units_and_nanos(), (0, 50_000_000));
        assert_eq!(money("19.05", "EUR").units_and_nanos(), (19, 50_000_000));
        assert_eq!(money("-1.75", "EUR").units_and_nanos(), (-1, -750_000_000));
        assert_eq!(money("7", "JPY").units_and_nanos(), (7, 0));
    }

    #[test]
    fn finer_than_the_minor_unit_is_not_exact() {
        let eur: Currency = "EUR".parse().expect("a currency");
        let amount = Decimal::from_str("1.005").expect("a decimal");
        assert_eq!(Money::exact(amount, eur), Err(MoneyError::TooFine));
    }

    #[test]
    fn currencies_without_a_minor_unit_are_refused() {
        assert!("XAU".parse::<Currency>().is_err());
        assert!("eur".parse::<Currency>().is_err());
        assert!("HRK".parse::<Currency>().is_err());
    }

    #[test]
    fn amounts_that_do_not_fit_are_an_error() {
        let eur: Currency = "EUR".parse().expect("a currency");
        assert_eq!(Money::rounded(Decimal::MAX, eur), Err(MoneyError::TooLarge));
        let most = Money {
            minor_units: i64::MAX,
            currency: eur,
        };
        assert_eq!(most.plus(most), Err(MoneyError::TooLarge));
    }
}
