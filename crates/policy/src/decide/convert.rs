//! Moves that somebody asks for, and the check that every move passes.

use types::Micros;

use super::outcome::{Cause, Decision, Origin};
use super::{Closing, Engine, FailedGuard, Refusal, Request};
use crate::definition::{Mode, Transition};
use crate::expression::Scope;
use crate::policy::{Policy, StageIndex};

impl<'a> Engine<'a> {
    pub(super) fn convert(
        &self,
        stage: &str,
        request: &Request<'a>,
        effective_time: Option<Micros>,
    ) -> Result<Decision, Refusal> {
        let (from, to) = check(self, stage, request)?;
        let effective_time = self.effective_time(effective_time)?;
        let scope = self.scope(request);
        guards(self.policy, from, to, &scope)?;
        let origin = Origin::of_request(Cause::Manual, request, effective_time);
        Ok(self.walk(from, &[Some(to)], &origin))
    }

    /// Late facts may be entered late, but history stays in order.
    fn effective_time(&self, asked: Option<Micros>) -> Result<Micros, Refusal> {
        let latest = self.now.max(self.position.entered);
        match asked {
            None => Ok(latest),
            Some(asked) if asked >= self.position.entered && asked <= latest => Ok(asked),
            Some(_) => Err(Refusal::EffectiveTimeInvalid {
                earliest: self.position.entered,
                latest,
            }),
        }
    }

    /// Deletion and merge close a position under every policy: a contact that is gone has none.
    pub(super) fn close(&self, cause: Closing, request: &Request<'a>) -> Decision {
        let Some(stage) = &self.position.stage else {
            return Decision::default();
        };
        let cause = match cause {
            Closing::Deletion => Cause::Deletion,
            Closing::Merge => Cause::Merge,
        };
        let origin = Origin::of_request(cause, request, self.latest());
        let mut decision = self.walk(self.policy.index_of(stage), &[None], &origin);
        for transition in &mut decision.transitions {
            // Also where the policy no longer knows the stage, history says which one was left.
            transition.from = Some(stage.clone());
        }
        decision
    }

    /// Undeletion restores what deletion took; it neither moves nor asks the guards again.
    pub(super) fn reopen(&self, stage: &str, request: &Request<'a>) -> Result<Decision, Refusal> {
        let to = self.target(stage)?;
        if self.position.stage.is_some() {
            return Err(self.not_allowed(stage));
        }
        let origin = Origin::of_request(Cause::Undeletion, request, self.latest());
        let mut decision = self.walk(None, &[Some(to)], &origin);
        decision.effects.clear();
        Ok(decision)
    }

    /// Activation of another policy: the map decides, guards and transitions do not.
    pub(super) fn map(
        &self,
        old: &Policy,
        stage: &str,
        request: &Request<'a>,
    ) -> Result<Decision, Refusal> {
        let to = self.target(stage)?;
        let Some(from) = &self.position.stage else {
            return Ok(Decision::default());
        };
        if from == stage {
            return Ok(Decision::default());
        }
        let origin = Origin::of_request(Cause::Activation, request, self.latest());
        let mut decision = self.walk(None, &[Some(to)], &origin);
        decision.effects.clear();
        for transition in &mut decision.transitions {
            transition.from = Some(from.clone());
            transition.from_role = old.role(from);
            let before = old.entitle(from);
            let after = self.policy.entitle(stage);
            transition.gained = after.difference(before).cloned().collect();
            transition.lost = before.difference(after).cloned().collect();
        }
        Ok(decision)
    }

    /// Now, or the last transition's time where a clock went backward.
    pub(super) fn latest(&self) -> Micros {
        self.now.max(self.position.entered)
    }

    pub(super) fn not_allowed(&self, to: &str) -> Refusal {
        let from = self.position.stage.as_deref();
        Refusal::TransitionNotAllowed {
            from: from.map(str::to_owned),
            to: to.to_owned(),
            allowed: self.policy.allowed_from(from),
        }
    }

    /// Companies have no position of their own in company-first mode.
    pub(super) fn follows_primary(&self) -> bool {
        self.policy.mode() == Mode::CompanyFirst && self.facts.contact.kind == "COMPANY"
    }
}

/// Everything about a conversion but its guards: stages, table, permission and reason.
pub(crate) fn check(
    engine: &Engine,
    stage: &str,
    request: &Request,
) -> Result<(Option<StageIndex>, StageIndex), Refusal> {
    let to = engine.target(stage)?;
    let from = engine.stage()?;
    if engine.follows_primary() {
        return Err(Refusal::CompanyFollowsPrimary);
    }
    if engine.position.is_closed() {
        return Err(Refusal::PositionClosed);
    }
    let Some(at) = from else {
        // Whoever has no position gets one as at opening: only where the policy opens contacts.
        if !engine.policy.create_in().any(|open| open == stage) {
            return Err(engine.not_allowed(stage));
        }
        reason(engine.policy, to, None, request.reason)?;
        return Ok((None, to));
    };
    let Some(transition) = engine.policy.transition(at, to) else {
        return Err(engine.not_allowed(stage));
    };
    if !request.permissions.allow(&transition.permission) {
        return Err(Refusal::PermissionMissing {
            permission: transition.permission.clone(),
        });
    }
    reason(engine.policy, to, Some(transition), request.reason)?;
    Ok((from, to))
}

/// The nearest list of reasons that is not empty: the transition's where there is one, the stage's, the
/// policy's.
fn reason(
    policy: &Policy,
    to: StageIndex,
    transition: Option<&Transition>,
    reason: &str,
) -> Result<(), Refusal> {
    let others = [&policy.stage_at(to).reasons, &policy.definition().reasons];
    let allowed = transition
        .map(|transition| &transition.reasons)
        .into_iter()
        .chain(others)
        .find(|list| !list.is_empty())
        .cloned()
        .unwrap_or_default();
    if reason.is_empty() {
        return if transition.is_some_and(|transition| transition.reason_required) {
            Err(Refusal::ReasonRequired { allowed })
        } else {
            Ok(())
        };
    }
    if allowed.is_empty() || allowed.iter().any(|known| known == reason) {
        Ok(())
    } else {
        Err(Refusal::ReasonUnknown {
            reason: reason.to_owned(),
            allowed,
        })
    }
}

/// Evaluates every guard of a move and lists all that fail.
pub(crate) fn guards(
    policy: &Policy,
    from: Option<StageIndex>,
    to: StageIndex,
    scope: &Scope,
) -> Result<(), Refusal> {
    let mut failed = Vec::new();
    for (guard, expression) in policy.guards(from, to) {
        let error = match expression.holds(scope) {
            Ok(true) => continue,
            Ok(false) => None,
            Err(why) => Some(why),
        };
        failed.push(FailedGuard {
            id: guard.id.clone(),
            expression: expression.source().to_owned(),
            message: guard.message.clone(),
            readings: expression.readings(scope),
            error,
        });
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Refusal::GuardNotMet {
        from: from.map(|at| policy.stage_at(at).id.clone()),
        to: policy.stage_at(to).id.clone(),
        failed,
    })
}
