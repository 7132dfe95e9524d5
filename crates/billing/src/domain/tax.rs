//! Tax categories and rates, and which of them go together.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::decimals;

/// The category of a tax, by UNCL 5305 as EN 16931 uses it. The order is that of tax subtotals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaxCategory {
    /// S: standard rate, above zero.
    #[serde(rename = "S")]
    Standard,
    /// Z: zero rated.
    #[serde(rename = "Z")]
    Zero,
    /// E: exempt.
    #[serde(rename = "E")]
    Exempt,
    /// AE: reverse charge.
    #[serde(rename = "AE")]
    ReverseCharge,
    /// K: intra-community supply.
    #[serde(rename = "K")]
    IntraCommunity,
    /// G: export outside the EU.
    #[serde(rename = "G")]
    Export,
    /// O: not subject to tax.
    #[serde(rename = "O")]
    OutOfScope,
    /// L: Canary Islands general indirect tax.
    #[serde(rename = "L")]
    CanaryIslands,
    /// M: tax of Ceuta and Melilla.
    #[serde(rename = "M")]
    CeutaMelilla,
}

impl TaxCategory {
    /// All categories, in the order of tax subtotals.
    pub const ALL: [Self; 9] = [
        Self::Standard,
        Self::Zero,
        Self::Exempt,
        Self::ReverseCharge,
        Self::IntraCommunity,
        Self::Export,
        Self::OutOfScope,
        Self::CanaryIslands,
        Self::CeutaMelilla,
    ];

    /// The code of UNCL 5305.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Zero => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::IntraCommunity => "K",
            Self::Export => "G",
            Self::OutOfScope => "O",
            Self::CanaryIslands => "L",
            Self::CeutaMelilla => "M",
        }
    }
}

impl fmt::Display for TaxCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is the code of no tax category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a tax category of EN 16931")]
pub struct TaxCategoryUnknown;

impl FromStr for TaxCategory {
    type Err = TaxCategoryUnknown;

    fn from_str(code: &str) -> Result<Self, TaxCategoryUnknown> {
        Self::ALL
            .into_iter()
            .find(|category| category.code() == code)
            .ok_or(TaxCategoryUnknown)
    }
}

/// A category and a rate in percent that go together. Tax is summed and rounded once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tax {
    category: TaxCategory,
    #[serde(with = "decimals::text")]
    rate: Decimal,
}

/// Why a category and a rate don't go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaxError {
    /// Rates are percent.
    #[error("must be from 0 to 100")]
    RateOutOfRange,
    /// BR-S-5: standard rated means above zero.
    #[error("must be above 0 for the standard category")]
    RateMissing,
    /// BR-Z-5, BR-E-5, BR-AE-5, BR-IC-5, BR-G-5, BR-O-5: these categories have no tax.
    #[error("must be 0 for a category without tax")]
    RateForbidden,
}

impl Tax {
    /// The tax of `category` at `rate` percent. Where no category is said it is standard with a
    /// rate above zero and zero rated without.
    pub fn new(category: Option<TaxCategory>, rate: Decimal) -> Result<Self, TaxError> {
        if rate.is_sign_negative() && !rate.is_zero() || rate > Decimal::ONE_HUNDRED {
            return Err(TaxError::RateOutOfRange);
        }
        let category = category.unwrap_or(if rate.is_zero() {
            TaxCategory::Zero
        } else {
            TaxCategory::Standard
        });
        match category {
            TaxCategory::Standard if rate.is_zero() => Err(TaxError::RateMissing),
            TaxCategory::Standard | TaxCategory::CanaryIslands | TaxCategory::CeutaMelilla => {
                Ok(Self {
                    category,
                    rate: rate.normalize(),
                })
            }
            TaxCategory::Zero
            | TaxCategory::Exempt
            | TaxCategory::ReverseCharge
            | TaxCategory::IntraCommunity
            | TaxCategory::Export
            | TaxCategory::OutOfScope => {
                if rate.is_zero() {
                    Ok(Self {
                        category,
                        rate: Decimal::ZERO,
                    })
                } else {
                    Err(TaxError::RateForbidden)
                }
            }
        }
    }

    /// The category.
    #[must_use]
    pub fn category(self) -> TaxCategory {
        self.category
    }

    /// The rate in percent, without zeros at the end.
    #[must_use]
    pub fn rate(self) -> Decimal {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_and_rates_go_together_as_en_16931_says() {
        let percent = |text: &str| decimals::parse(text).expect("a number");
        for category in TaxCategory::ALL {
            let with_rate = Tax::new(Some(category), percent("7.00"));
            let without = Tax::new(Some(category), Decimal::ZERO);
            match category {
                TaxCategory::Standard => {
                    assert!(with_rate.is_ok());
                    assert_eq!(without, Err(TaxError::RateMissing));
                }
                TaxCategory::CanaryIslands | TaxCategory::CeutaMelilla => {
                    assert!(with_rate.is_ok() && without.is_ok());
                }
                _ => {
                    assert_eq!(with_rate, Err(TaxError::RateForbidden));
                    assert!(without.is_ok());
                }
            }
            assert_eq!(category.code().parse(), Ok(category));
        }
        assert_eq!(
            Tax::new(None, percent("100.1")),
            Err(TaxError::RateOutOfRange)
        );
        assert_eq!(Tax::new(None, percent("-1")), Err(TaxError::RateOutOfRange));
    }

    #[test]
    fn a_rate_is_one_group_however_it_is_written() {
        let tax = |text| Tax::new(None, decimals::parse(text).expect("a number"));
        assert_eq!(tax("19"), tax("19.00"));
        assert_eq!(tax("19").map(Tax::category), Ok(TaxCategory::Standard));
        assert_eq!(tax("0").map(Tax::category), Ok(TaxCategory::Zero));
    }
}
