//! Why a command was refused.

use std::fmt;

use types::Micros;

use crate::expression::Reading;

/// A guard that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedGuard {
    /// Its id.
    pub id: String,
    /// Its expression.
    pub expression: String,
    /// What would satisfy it.
    pub message: String,
    /// The values that the expression read.
    pub readings: Vec<Reading>,
    /// Why it could not be evaluated, where that was so; a guard that fails denies.
    pub error: Option<String>,
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The policy has no such stage.
    StageUnknown {
        /// What was asked for.
        stage: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The contact stands in a stage that this policy does not have: a stage map is missing.
    StageUnmapped {
        /// Where it stands.
        stage: String,
    },
    /// The contact was deleted or merged: it has no position until it is undeleted.
    PositionClosed,
    /// The policy has no such transition; also from a stage to itself.
    TransitionNotAllowed {
        /// The stage that would be left; `None` for an opening.
        from: Option<String>,
        /// The stage that would be entered.
        to: String,
        /// The stages that may be entered from there.
        allowed: Vec<String>,
    },
    /// In company-first mode a company stands where its primary contact stands.
    CompanyFollowsPrimary,
    /// One or more guards do not hold; all of them are listed.
    GuardNotMet {
        /// The stage that would be left; `None` for an opening.
        from: Option<String>,
        /// The stage that would be entered.
        to: String,
        /// The guards.
        failed: Vec<FailedGuard>,
    },
    /// The transition asks for a permission that the principal lacks.
    PermissionMissing {
        /// The permission.
        permission: String,
    },
    /// The transition asks for a reason.
    ReasonRequired {
        /// The reasons to choose from; none means any text.
        allowed: Vec<String>,
    },
    /// The reason is none of the list.
    ReasonUnknown {
        /// The reason.
        reason: String,
        /// The reasons to choose from.
        allowed: Vec<String>,
    },
    /// The effective time is before the contact's last transition, or in the future.
    EffectiveTimeInvalid {
        /// The earliest time allowed.
        earliest: Micros,
        /// The latest time allowed.
        latest: Micros,
    },
    /// A company with open documents would lose entitlements by its new primary contact.
    PrimaryLosesEntitlements {
        /// The entitlements.
        lost: Vec<String>,
    },
}

impl Refusal {
    /// The reason as it is sent.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::StageUnknown { .. } => "STAGE_UNKNOWN",
            Self::StageUnmapped { .. } => "STAGE_UNMAPPED",
            Self::PositionClosed => "RESOURCE_DELETED",
            Self::TransitionNotAllowed { .. }
            | Self::CompanyFollowsPrimary
            | Self::PrimaryLosesEntitlements { .. } => "TRANSITION_NOT_ALLOWED",
            Self::GuardNotMet { .. } => "GUARD_NOT_MET",
            Self::PermissionMissing { .. } => "PERMISSION_MISSING",
            Self::ReasonRequired { .. }
            | Self::ReasonUnknown { .. }
            | Self::EffectiveTimeInvalid { .. } => "FIELD_INVALID",
        }
    }

    /// The guards that did not hold; none for other refusals.
    #[must_use]
    pub fn failed_guards(&self) -> &[FailedGuard] {
        match self {
            Self::GuardNotMet { failed, .. } => failed,
            _ => &[],
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StageUnknown { stage, known } => write!(
                f,
                "The policy has no stage `{stage}`; it has {}.",
                known.join(", ")
            ),
            Self::StageUnmapped { stage } => {
                write!(
                    f,
                    "The contact stands in `{stage}`, which the policy does not have."
                )
            }
            Self::PositionClosed => {
                write!(
                    f,
                    "The contact was deleted or merged, and its position closed."
                )
            }
            Self::TransitionNotAllowed { from, to, allowed } => {
                match from {
                    Some(from) => write!(f, "The policy does not allow `{from}` to become `{to}`")?,
                    None => write!(f, "The policy does not open contacts in `{to}`")?,
                }
                if allowed.is_empty() {
                    write!(f, "; nothing is allowed from there.")
                } else {
                    write!(f, "; allowed are {}.", allowed.join(", "))
                }
            }
            Self::CompanyFollowsPrimary => write!(
                f,
                "A company stands where its primary contact stands; convert that contact."
            ),
            Self::GuardNotMet { to, failed, .. } => {
                let guards: Vec<&str> = failed.iter().map(FailedGuard::text).collect();
                write!(
                    f,
                    "Entering `{to}` needs what is not so yet: {}.",
                    guards.join("; ")
                )
            }
            Self::PermissionMissing { permission } => {
                write!(f, "The transition needs the permission `{permission}`.")
            }
            Self::ReasonRequired { allowed } if allowed.is_empty() => {
                write!(f, "The transition needs a reason.")
            }
            Self::ReasonRequired { allowed } => {
                write!(f, "The transition needs a reason: {}.", allowed.join(", "))
            }
            Self::ReasonUnknown { reason, allowed } => write!(
                f,
                "`{reason}` is none of the reasons {}.",
                allowed.join(", ")
            ),
            Self::EffectiveTimeInvalid { .. } => write!(
                f,
                "The effective time lies between the last transition and now."
            ),
            Self::PrimaryLosesEntitlements { lost } => write!(
                f,
                "The company has open documents and would lose {}.",
                lost.join(", ")
            ),
        }
    }
}

impl FailedGuard {
    /// What would satisfy it, or at least its name.
    fn text(&self) -> &str {
        if self.message.is_empty() {
            &self.id
        } else {
            self.message.trim_end_matches('.')
        }
    }
}
