//! Why a call has no identity, and how that is told: enough to mend it, nothing to guess with.

use proto::errors::v1::Reason;
use proto::status::Refusal;
use tonic::Status;
use types::Micros;

use crate::refusals;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is none.
    Missing,
    /// Its time is over since then.
    Expired(Micros),
    /// Its time has not begun.
    Early,
    /// Something else, told in a sentence.
    Invalid(Problem, &'static str),
    /// The issuer's keys were never read, or are being read for as many tokens as may wait for them: this
    /// one can't be judged.
    NoKeys,
}

/// The kinds of what can be wrong with a token, as `TOKEN_INVALID` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is not the form of a token.
    Format,
    /// Its algorithm is not one that is accepted, or not that of its key.
    Algorithm,
    /// The issuer has no such key.
    Key,
    /// The signature does not fit.
    Signature,
    /// It comes from another issuer.
    Issuer,
    /// It is meant for somebody else.
    Audience,
    /// A claim is missing or can't be read.
    Claims,
}

impl Problem {
    fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
        }
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Missing => Refusal::new(
                Reason::TokenMissing,
                "this needs a token: send the metadata `authorization: Bearer TOKEN`",
            )
            .metadata("scheme", "bearer"),
            Fault::Expired(at) => Refusal::new(
                Reason::TokenExpired,
                "the token has expired; get a new one and repeat the call",
            )
            .metadata(
                "expire_time",
                proto::convert::timestamp_to_wire(at).to_string(),
            ),
            Fault::Early => Refusal::new(
                Reason::TokenExpired,
                "the token is not valid yet; if it is new, compare the clocks",
            ),
            Fault::Invalid(problem, message) => {
                Refusal::new(Reason::TokenInvalid, message).metadata("problem", problem.name())
            }
            Fault::NoKeys => return refusals::upstream_unavailable("issuer"),
        }
        .into_status()
    }
}
