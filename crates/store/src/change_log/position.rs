//! Positions in the change log.

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

impl LogPosition {
    /// Before everything that was ever logged.
    pub const START: Self = Self {
        epoch: 0,
        tx: 0,
        id: 0,
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn order_is_by_epoch_then_tx_then_id(a in any::<[u8; 3]>(), b in any::<[u8; 3]>()) {
            let at = |p: [u8; 3]| LogPosition { epoch: p[0].into(), tx: p[1].into(), id: p[2].into() };
            prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
        }
    }
}
