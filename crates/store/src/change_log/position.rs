//! Positions in the change log, and the tokens clients hold of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

/// A place in a service's change log; also what a consistency token and a resume token say.
///
/// Ordered as the log is. A row's own position means "this row and all before it".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The [epoch](crate::epoch)'s number.
    pub epoch: i64,
    /// The number of the transaction (PostgreSQL) or of the write (SQLite).
    pub tx: i64,
    /// The row's number; 0 before all rows of `tx`.
    pub id: i64,
}

/// The layout of a token: this byte, the service's name with its length, three numbers.
const FORMAT: u8 = 1;

impl LogPosition {
    /// Before everything that was ever logged.
    pub const START: Self = Self {
        epoch: 0,
        tx: 0,
        id: 0,
    };

    /// The position as an opaque token of `service` (at most 255 bytes).
    pub fn to_token(self, service: &str) -> String {
        let mut bytes = vec![FORMAT, u8::try_from(service.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(service.as_bytes());
        for number in [self.epoch, self.tx, self.id] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that a token of `service` names.
    ///
    /// Errors: [`Error::PositionTokenForeign`] for a token of another service,
    /// [`Error::PositionTokenInvalid`] for anything that is no token.
    pub fn from_token(service: &str, token: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| Error::PositionTokenInvalid)?;
        let [FORMAT, length, rest @ ..] = bytes.as_slice() else {
            return Err(Error::PositionTokenInvalid);
        };
        let (name, numbers) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(Error::PositionTokenInvalid)?;
        let [epoch, tx, id] = numbers_of(numbers).ok_or(Error::PositionTokenInvalid)?;
        if name != service.as_bytes() {
            return Err(Error::PositionTokenForeign);
        }
        Ok(Self { epoch, tx, id })
    }
}

fn numbers_of(bytes: &[u8]) -> Option<[i64; 3]> {
    let (chunks, []) = bytes.as_chunks::<8>() else {
        return None;
    };
    let numbers: Vec<i64> = chunks.iter().map(|c| i64::from_be_bytes(*c)).collect();
    let numbers: [i64; 3] = numbers.try_into().ok()?;
    numbers.iter().all(|number| *number >= 0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_round_trip(epoch in 0..i64::MAX, tx in 0..i64::MAX, id in 0..i64::MAX) {
            let position = LogPosition { epoch, tx, id };
            let token = position.to_token("contacts");
            prop_assert_eq!(LogPosition::from_token("contacts", &token), Ok(position));
            prop_assert_eq!(
                LogPosition::from_token("billing", &token),
                Err(Error::PositionTokenForeign)
            );
        }

        #[test]
        fn junk_is_refused_without_panic(token in ".{0,80}") {
            prop_assert!(LogPosition::from_token("contacts", &token).is_err());
        }

        #[test]
        fn order_is_by_epoch_then_tx_then_id(a in any::<[u8; 3]>(), b in any::<[u8; 3]>()) {
            let at = |p: [u8; 3]| LogPosition { epoch: p[0].into(), tx: p[1].into(), id: p[2].into() };
            prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
        }
    }
}
