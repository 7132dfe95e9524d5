//! What every stage would take and give: the dry run of all conversions at once.

use std::collections::BTreeSet;

use types::{Micros, Role};

use crate::decide::{Command, Engine, Position, Refusal, Request, check_conversion, decide};
use crate::expression::Reading;
use crate::facts::Facts;
use crate::policy::Policy;

/// What converting to one stage would take and give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePreview {
    /// The stage.
    pub stage: String,
    /// Its role.
    pub role: Role,
    /// Whether the contact stands there.
    pub current: bool,
    /// Whether `decide` would convert to it.
    pub reachable: bool,
    /// Why not.
    pub refusal: Option<Refusal>,
    /// Every guard of the move, also where another rule refuses it.
    pub guards: Vec<GuardPreview>,
    /// The entitlements it would add.
    pub gained: BTreeSet<String>,
    /// The entitlements it would take away.
    pub lost: BTreeSet<String>,
    /// Whether it would pass over a stage of the funnel.
    pub skip: bool,
}

/// A guard and what it says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardPreview {
    /// Its id.
    pub id: String,
    /// Its expression.
    pub expression: String,
    /// Whether it holds; a guard that fails does not.
    pub holds: bool,
    /// Why it could not be evaluated, where that was so.
    pub error: Option<String>,
    /// The values that it read.
    pub readings: Vec<Reading>,
    /// What would satisfy it.
    pub message: String,
}

/// Tries a conversion to every stage, in the order of the definition, as `request` would ask for.
///
/// Each is decided by [`decide`] itself, so that a preview and the call that follows it agree.
#[must_use]
pub fn preview(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    request: &Request,
    now: Micros,
) -> Vec<StagePreview> {
    let engine = Engine {
        policy,
        position,
        facts,
        now,
    };
    let at = position.stage.as_deref();
    policy
        .definition()
        .stages
        .iter()
        .map(|stage| {
            let command = Command::Convert {
                stage: &stage.id,
                request: *request,
                effective_time: None,
            };
            let refusal = decide(policy, position, facts, command, now).err();
            StagePreview {
                stage: stage.id.clone(),
                role: stage.role,
                current: at == Some(stage.id.as_str()),
                reachable: refusal.is_none(),
                refusal,
                guards: guards(&engine, &stage.id, request),
                gained: policy.gained(at, Some(&stage.id)),
                lost: policy.lost(at, Some(&stage.id)),
                skip: at.is_some_and(|from| policy.is_skip(from, &stage.id)),
            }
        })
        .collect()
}

/// The guards of a move that is in the table, whether or not a permission or a reason is missing.
fn guards(engine: &Engine, stage: &str, request: &Request) -> Vec<GuardPreview> {
    let in_table = !matches!(
        check_conversion(engine, stage, request),
        Err(Refusal::TransitionNotAllowed { .. }
            | Refusal::StageUnknown { .. }
            | Refusal::StageUnmapped { .. }
            | Refusal::PositionClosed
            | Refusal::CompanyFollowsPrimary)
    );
    let (true, Some(to), Ok(from)) = (in_table, engine.policy.index_of(stage), engine.stage())
    else {
        return Vec::new();
    };
    let scope = engine.scope(request);
    engine
        .policy
        .guards(from, to)
        .map(|(guard, expression)| {
            let result = expression.holds(&scope);
            GuardPreview {
                id: guard.id.clone(),
                expression: expression.source().to_owned(),
                holds: result == Ok(true),
                error: result.err(),
                readings: expression.readings(&scope),
                message: guard.message.clone(),
            }
        })
        .collect()
}
