//! The facts that expressions may name, by their paths and types.

use super::types::Type;

/// A fact with a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Kind,
    HasEmail,
    EmailVerified,
    HasPhone,
    HasCompany,
    SourceChannel,
    SourceCampaign,
    SourceReferrer,
    SourceReferralKind,
    InterestExpressed,
    InterestExpressedTime,
    InterestEvidence,
    IdentityVerified,
    IdentityVerifiedTime,
    IdentityMethod,
    QualificationVerdict,
    QualificationChecklist,
    Owner,
    ReadyToBuy,
    NextStepDue,
    RelationshipKinds,
    Labels,
    PositionStage,
    PositionRole,
    PositionEntered,
    Calls,
    MailsOut,
    HelpfulMailsSinceEntry,
    Bookings,
    Purchases,
    LastActivity,
    OpportunityState,
    OpportunityAmount,
    OpportunityCurrency,
    ActivityKind,
    ActivityOutcome,
    ActivityDuration,
    ActivityDirection,
    ActivityHelpful,
    ActivityReferrer,
    ActivityTime,
    RequestReason,
    RequestActor,
    Now,
}

/// Every variable by its path.
pub(crate) const VARIABLES: [(&str, Variable); 44] = [
    ("contact.kind", Variable::Kind),
    ("contact.has_email", Variable::HasEmail),
    ("contact.email_verified", Variable::EmailVerified),
    ("contact.has_phone", Variable::HasPhone),
    ("contact.has_company", Variable::HasCompany),
    ("contact.source.channel", Variable::SourceChannel),
    ("contact.source.campaign", Variable::SourceCampaign),
    ("contact.source.referrer", Variable::SourceReferrer),
    ("contact.source.referral_kind", Variable::SourceReferralKind),
    ("contact.interest.expressed", Variable::InterestExpressed),
    (
        "contact.interest.expressed_time",
        Variable::InterestExpressedTime,
    ),
    ("contact.interest.evidence", Variable::InterestEvidence),
    ("contact.identity.verified", Variable::IdentityVerified),
    (
        "contact.identity.verified_time",
        Variable::IdentityVerifiedTime,
    ),
    ("contact.identity.method", Variable::IdentityMethod),
    (
        "contact.qualification.verdict",
        Variable::QualificationVerdict,
    ),
    (
        "contact.qualification.checklist",
        Variable::QualificationChecklist,
    ),
    ("contact.owner", Variable::Owner),
    ("contact.ready_to_buy", Variable::ReadyToBuy),
    ("contact.next_step_due", Variable::NextStepDue),
    ("contact.relationship_kinds", Variable::RelationshipKinds),
    ("contact.labels", Variable::Labels),
    ("position.stage", Variable::PositionStage),
    ("position.role", Variable::PositionRole),
    ("position.entered", Variable::PositionEntered),
    ("engagement.calls", Variable::Calls),
    ("engagement.mails_out", Variable::MailsOut),
    (
        "engagement.helpful_mails_since_entry",
        Variable::HelpfulMailsSinceEntry,
    ),
    ("engagement.bookings", Variable::Bookings),
    ("engagement.purchases", Variable::Purchases),
    ("engagement.last_activity", Variable::LastActivity),
    ("opportunity.state", Variable::OpportunityState),
    ("opportunity.amount", Variable::OpportunityAmount),
    ("opportunity.currency", Variable::OpportunityCurrency),
    ("activity.kind", Variable::ActivityKind),
    ("activity.outcome", Variable::ActivityOutcome),
    ("activity.duration", Variable::ActivityDuration),
    ("activity.direction", Variable::ActivityDirection),
    ("activity.helpful", Variable::ActivityHelpful),
    ("activity.referrer", Variable::ActivityReferrer),
    ("activity.time", Variable::ActivityTime),
    ("request.reason", Variable::RequestReason),
    ("request.actor", Variable::RequestActor),
    ("now", Variable::Now),
];

/// The path under which a workspace's attributes stand.
pub(crate) const ATTRIBUTES: &str = "contact.attributes";

impl Variable {
    pub(crate) fn find(path: &str) -> Option<Self> {
        VARIABLES
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, variable)| *variable)
    }

    pub(crate) fn of_type(self) -> Type {
        match self {
            Self::HasEmail
            | Self::EmailVerified
            | Self::HasPhone
            | Self::HasCompany
            | Self::InterestExpressed
            | Self::IdentityVerified
            | Self::ReadyToBuy
            | Self::ActivityHelpful => Type::Bool,
            Self::InterestExpressedTime
            | Self::IdentityVerifiedTime
            | Self::NextStepDue
            | Self::PositionEntered
            | Self::LastActivity
            | Self::ActivityTime
            | Self::Now => Type::Timestamp,
            Self::Calls
            | Self::MailsOut
            | Self::HelpfulMailsSinceEntry
            | Self::Bookings
            | Self::Purchases
            | Self::OpportunityAmount => Type::Int,
            Self::ActivityDuration => Type::Duration,
            Self::RelationshipKinds => Type::list(Type::String),
            Self::Labels => Type::Map(Box::new(Type::String), Box::new(Type::String)),
            Self::QualificationChecklist => Type::Map(Box::new(Type::String), Box::new(Type::Bool)),
            _ => Type::String,
        }
    }
}

/// What stands under `path`, where `path` is a group of facts rather than one: `source`, `owner`.
pub(crate) fn members(path: &str) -> Vec<&'static str> {
    let mut members: Vec<&'static str> = VARIABLES
        .iter()
        .map(|(known, _)| *known)
        .chain([ATTRIBUTES])
        .filter_map(|known| known.strip_prefix(path)?.strip_prefix('.'))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    members.dedup();
    members
}

/// The names that an expression may begin a path with.
pub(crate) fn roots() -> Vec<&'static str> {
    let mut roots: Vec<&'static str> = VARIABLES
        .iter()
        .map(|(known, _)| known.split('.').next().unwrap_or(known))
        .collect();
    roots.dedup();
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_found_under_its_path_and_no_path_twice() {
        for (index, (path, variable)) in VARIABLES.iter().enumerate() {
            assert_eq!(Variable::find(path), Some(*variable));
            assert!(VARIABLES[..index].iter().all(|(other, _)| other != path));
        }
        assert_eq!(
            members("contact.source"),
            ["channel", "campaign", "referrer", "referral_kind"]
        );
        assert_eq!(
            roots(),
            [
                "contact",
                "position",
                "engagement",
                "opportunity",
                "activity",
                "request",
                "now"
            ]
        );
    }
}
