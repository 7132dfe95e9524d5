//! Opaque tokens for a place in a service's change log: consistency tokens and resume tokens.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The service whose change log a token speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The directory.
    Contacts,
    /// The progression rules.
    Pipeline,
    /// Invoices and projects.
    Billing,
}

/// What a token is for; one kind is refused where the other is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// "At least as fresh as": from a write, for reads.
    Consistency,
    /// "Go on after": from a Watch message, for the next Watch.
    Resume,
}

/// A place in a service's change log, in the log's own order: epoch, transaction, row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// What the token is for.
    pub kind: TokenKind,
    /// Whose change log it speaks of.
    pub service: Service,
    /// The epoch of that service's database; a restore begins a new one.
    pub epoch: i64,
    /// The transaction, in commit order.
    pub tx: i64,
    /// The row within the log.
    pub id: i64,
}

/// The text is no token that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a token that this suite gave out")]
pub struct TokenMalformed;

const VERSION: u8 = 1;
const LENGTH: usize = 27;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1] = match self.kind {
            TokenKind::Consistency => 1,
            TokenKind::Resume => 2,
        };
        bytes[2] = match self.service {
            Service::Contacts => 1,
            Service::Pipeline => 2,
            Service::Billing => 3,
        };
        bytes[3..11].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[11..19].copy_from_slice(&self.tx.to_be_bytes());
        bytes[19..27].copy_from_slice(&self.id.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = TokenMalformed;

    fn from_str(text: &str) -> Result<Self, TokenMalformed> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenMalformed)?;
        if bytes.len() != LENGTH || bytes[0] != VERSION {
            return Err(TokenMalformed);
        }
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            i64::from_be_bytes(eight)
        };
        Ok(Self {
            kind: match bytes[1] {
                1 => TokenKind::Consistency,
                2 => TokenKind::Resume,
                _ => return Err(TokenMalformed),
            },
            service: match bytes[2] {
                1 => Service::Contacts,
                2 => Service::Pipeline,
                3 => Service::Billing,
                _ => return Err(TokenMalformed),
            },
            epoch: number(3),
            tx: number(11),
            id: number(19),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_junk_is_refused() {
        let token = Token {
            kind: TokenKind::Resume,
            service: Service::Pipeline,
            epoch: 3,
            tx: i64::MAX,
            id: -1,
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        for junk in [
            "",
            "AQ",
            "not base64!",
            &"A".repeat(36),
            &token.to_string()[1..],
        ] {
            assert_eq!(junk.parse::<Token>(), Err(TokenMalformed), "{junk:?}");
        }
    }
}
