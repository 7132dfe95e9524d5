//! Spans of time as policies write them: `30d`, `12h`, `1d12h`, `90s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of whole seconds, at most ten thousand days.
///
/// A day is 24 hours: budgets and windows are spans, not calendar days. On the wire it is a
/// `google.protobuf.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

/// The text is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span is whole days, hours, minutes and seconds such as 30d, 12h or 1d12h, up to 10000d")]
pub struct SpanInvalid;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const SECONDS_MAX: u64 = 10_000 * 86_400;

impl Span {
    /// `days` times 24 hours; the longest span there is where that would be longer.
    #[must_use]
    pub fn days(days: u32) -> Self {
        Self::from_seconds(u64::from(days) * 86_400).unwrap_or(Self(864_000_000))
    }

    /// A span of `seconds`; `None` above ten thousand days.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (seconds <= SECONDS_MAX)
            .then(|| u32::try_from(seconds).ok())
            .flatten()
            .map(Self)
    }

    /// How many seconds it has.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::from(self.0)
    }

    /// The same as a standard duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds())
    }
}

impl FromStr for Span {
    type Err = SpanInvalid;

    /// Units come in falling order, each at most once.
    fn from_str(text: &str) -> Result<Self, SpanInvalid> {
        let mut rest = text;
        let mut total: u64 = 0;
        for (unit, seconds) in UNITS {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits > 0 && rest[digits..].starts_with(unit) {
                let number: u64 = rest[..digits].parse().map_err(|_| SpanInvalid)?;
                total = number
                    .checked_mul(seconds)
                    .and_then(|part| total.checked_add(part))
                    .ok_or(SpanInvalid)?;
                rest = &rest[digits + 1..];
            }
        }
        if text.is_empty() || !rest.is_empty() {
            return Err(SpanInvalid);
        }
        Self::from_seconds(total).ok_or(SpanInvalid)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.seconds();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for text in ["0s", "30d", "12h", "1d12h", "1d2h3m4s", "90m1s", "10000d"] {
            let span: Span = text.parse().expect("a span");
            let again: Span = span.to_string().parse().expect("a span");
            assert_eq!(span, again, "{text}");
        }
        assert_eq!("36h".parse::<Span>().expect("a span").to_string(), "1d12h");
    }

    #[test]
    fn what_is_not_a_span_is_refused() {
        for text in [
            "",
            "d",
            "1",
            "1w",
            "1h1d",
            "1d1d",
            "-1d",
            "1.5d",
            "10001d",
            "9999999999999999999999d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }
}
