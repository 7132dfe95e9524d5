//! Where new ids come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Makes the ids of new resources: `UUIDv7` (RFC 9562), lower case with hyphens.
///
/// An id shows when it was made, and ids made one after another sort in that order.
#[derive(Clone, Debug, Default)]
pub struct Ids(Option<Arc<AtomicU64>>);

impl Ids {
    /// Ids from the system's clock and random source.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Ids that count up from one, the same in every run: for tests that pin output.
    #[must_use]
    pub fn counting() -> Self {
        Self(Some(Arc::new(AtomicU64::new(0))))
    }

    /// A fresh id.
    #[must_use]
    pub fn next(&self) -> String {
        match &self.0 {
            Some(counter) => {
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | number).to_string()
            }
            None => system_id(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where ids enter the suite"
)]
fn system_id() -> String {
    Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_a_row_are_ordered() {
        let ids = Ids::system();
        let made: Vec<String> = (0..1000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn counting_ids_are_uuids_too() {
        let ids = Ids::counting();
        assert_eq!(ids.next(), "00000000-0000-7000-8000-000000000001");
        assert!(Uuid::parse_str(&ids.next()).is_ok());
    }
}
