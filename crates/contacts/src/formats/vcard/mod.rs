//! vCard 2.1, 3.0 and 4.0 in, 3.0 and 4.0 out.
//!
//! A [`Reader`] is fed with the bytes of a file and gives one [`Card`] after the other;
//! [`write_card`] gives the text of one card. What a Contact has no field for stands in the
//! record's attributes, lines that mean nothing to us as they are; what a card has no property for
//! stands in its `X-CLIENTELE-MORE`.
//!
//! Lines are read here and not by a vCard library. The one that was tried (calcard) drops types it
//! does not know from quoted lists, turns any date-like text into a date, takes quoted-printable
//! text without a charset for ISO 8859-1, wants the whole file as valid UTF-8, and completes cards
//! that have no end. The tests let it read what we write.

mod cards;
mod export;
mod import;
mod line;
mod open;
mod values;

pub use cards::{CARD_LEN_MAX, Card, CardProblem, CardRefusal, Reader};
pub use export::write_card;

/// The versions that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 2426.
    V3,
    /// RFC 6350.
    V4,
}
