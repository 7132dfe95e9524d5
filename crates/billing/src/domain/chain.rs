//! The hash chain over the issued invoices of a series and year.
//!
//! Each invoice's hash is the SHA-256 of the hash before it and of everything that is frozen on it,
//! so that a changed byte, a missing invoice and a swapped pair all show.

use sha2::{Digest, Sha256};

/// What the first invoice of a series and year follows.
pub const GENESIS: [u8; 32] = [0; 32];

/// Names the way the hash is made, so that a later one can be told apart.
const FORMAT: &[u8] = b"clientele invoice 1";

/// The hash of a document and the hash before it.
///
/// `fields` are the frozen fields with their names, in a fixed order; each is hashed with its length,
/// so that no two lists of fields give the same bytes.
#[must_use]
pub fn link(previous: &[u8], fields: &[(&str, &[u8])]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [FORMAT, previous] {
        absorb(&mut hasher, part);
    }
    for (name, value) in fields {
        absorb(&mut hasher, name.as_bytes());
        absorb(&mut hasher, value);
    }
    hasher.finalize().into()
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn absorb(hasher: &mut Sha256, part: &[u8]) {
    hasher.update((part.len() as u64).to_be_bytes());
    hasher.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_field_ends_matters() {
        let together = link(&GENESIS, &[("a", b"bc"), ("d", b"")]);
        assert_ne!(together, link(&GENESIS, &[("ab", b"c"), ("d", b"")]));
        assert_ne!(together, link(&GENESIS, &[("a", b"b"), ("d", b"c")]));
        assert_ne!(together, link(&together, &[("a", b"bc"), ("d", b"")]));
        assert_eq!(together, link(&GENESIS, &[("a", b"bc"), ("d", b"")]));
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }
}
