//! What each reason of a refusal means in gRPC: its name on the wire and its status code.

use tonic::Code;

use crate::errors::v1::Reason;
use crate::pool;

/// What reasons are called in the proto, before the name that is sent.
const PREFIX: &str = "REASON_";

impl Reason {
    /// The name that is sent in `ErrorInfo.reason`, such as `ETAG_MISMATCH`.
    pub fn wire_name(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    /// The reason of this name; `None` for one of a later version.
    pub fn from_wire_name(name: &str) -> Option<Self> {
        Self::from_str_name(&format!("{PREFIX}{name}"))
    }

    /// The status code that the reason always comes with.
    pub fn code(self) -> Code {
        match self {
            Self::Unspecified => Code::Unknown,
            Self::FieldInvalid
            | Self::FilterInvalid
            | Self::OrderByInvalid
            | Self::PageTokenMismatch
            | Self::UpdateMaskRequired
            | Self::UpdateMaskInvalid
            | Self::RequestIdReused
            | Self::ConsistencyTokenForeign
            | Self::StageUnknown
            | Self::PolicyInvalid
            | Self::PolicyExpressionInvalid
            | Self::ImportRowInvalid
            | Self::ImportMappingRequired => Code::InvalidArgument,
            Self::ResourceNotFound => Code::NotFound,
            Self::ResourceExists | Self::DuplicateIdentity => Code::AlreadyExists,
            Self::TransitionNotAllowed
            | Self::GuardNotMet
            | Self::EntitlementMissing
            | Self::StageUnmapped
            | Self::ContactMerged
            | Self::ChildrenExist
            | Self::ResourceDeleted
            | Self::CurrencyMismatch
            | Self::ImportStateInvalid
            | Self::InvoiceStateInvalid
            | Self::InvoiceIncomplete
            | Self::ProjectStateInvalid => Code::FailedPrecondition,
            Self::EtagMismatch
            | Self::ConcurrentUpdate
            | Self::RequestInProgress
            | Self::TransitionPending => Code::Aborted,
            Self::HistoryBroken => Code::DataLoss,
            Self::ResumeTokenExpired => Code::OutOfRange,
            Self::PermissionMissing => Code::PermissionDenied,
            Self::TokenMissing | Self::TokenExpired | Self::TokenInvalid => Code::Unauthenticated,
            Self::QuotaExceeded | Self::MessageTooLarge => Code::ResourceExhausted,
            Self::Overloaded
            | Self::ShuttingDown
            | Self::StreamRotated
            | Self::UpstreamUnavailable
            | Self::ConsistencyNotReached => Code::Unavailable,
        }
    }
}

/// Every reason that can be sent, in the order of the numbers.
pub fn reasons() -> impl Iterator<Item = Reason> {
    let declared = pool()
        .get_enum_by_name("clientele.errors.v1.Reason")
        .into_iter()
        .flat_map(|reasons| {
            reasons
                .values()
                .map(|value| value.number())
                .collect::<Vec<_>>()
        });
    declared
        .filter_map(|number| Reason::try_from(number).ok())
        .filter(|reason| *reason != Reason::Unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_without_the_prefix() {
        assert_eq!(Reason::EtagMismatch.wire_name(), "ETAG_MISMATCH");
        for reason in reasons() {
            assert_eq!(Reason::from_wire_name(reason.wire_name()), Some(reason));
            assert_ne!(reason.code(), Code::Unknown);
        }
        assert_eq!(Reason::from_wire_name("OF_TOMORROW"), None);
    }
}
