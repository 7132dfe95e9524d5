//! Invoice numbers: gapless per workspace, series and year.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The series that an invoice is of where none is said.
pub const DEFAULT_SERIES: &str = "INV";

/// The sequence that numbers count up in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// The series' mark: `[A-Z][A-Z0-9-]{0,15}`.
    pub series: String,
    /// The year of the day of issue.
    pub year: i32,
}

/// The number of an issued invoice, written `INV-2026-000042`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceNumber {
    /// What it counts in.
    pub series: Series,
    /// 1 for the first of its series and year.
    pub sequence: i64,
}

impl fmt::Display for InvoiceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Series { series, year } = &self.series;
        write!(f, "{series}-{year:04}-{:06}", self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits_and_grow_beyond() {
        let number = |sequence| InvoiceNumber {
            series: Series {
                series: "INV".to_owned(),
                year: 2026,
            },
            sequence,
        };
        assert_eq!(number(42).to_string(), "INV-2026-000042");
        assert_eq!(number(1_234_567).to_string(), "INV-2026-1234567");
    }
}
