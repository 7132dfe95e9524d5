//! Opening: the first position of a contact, or none.

use super::outcome::{Cause, Decision, Origin, POLICY_ACTOR, Withheld};
use super::{Engine, Position, Refusal, Request, convert};
use crate::policy::StageIndex;

/// Where a contact is to be opened.
enum Place {
    Stage(StageIndex),
    Nowhere(Withheld),
}

impl<'a> Engine<'a> {
    /// Opens a contact, and fires what its facts fire at once: a contact whose interest and
    /// identity are both known when it is created does not wait for a third fact.
    ///
    /// Opening one that has a position already changes nothing, so that following a log twice
    /// does no harm.
    pub(super) fn open(
        &self,
        requested_stage: &str,
        request: &Request<'a>,
        imported: bool,
    ) -> Result<Decision, Refusal> {
        if self.position.stage.is_some() {
            return Ok(Decision::default());
        }
        if self.position.is_closed() {
            return Err(Refusal::PositionClosed);
        }
        let to = match self.place(requested_stage, request)? {
            Place::Stage(to) => to,
            Place::Nowhere(why) => return Ok(Decision::withheld(why)),
        };
        convert::guards(self.policy, None, to, &self.scope(request))?;
        let cause = if imported {
            Cause::Import
        } else {
            Cause::Opening
        };
        let origin = Origin::of_request(cause, request, self.latest());
        let mut decision = self.walk(None, &[Some(to)], &origin);
        let opened: Position = self.position.after(&decision);
        let next = Engine {
            position: &opened,
            ..*self
        }
        .facts_fire(1)?;
        decision.transitions.extend(next.transitions);
        decision.effects.extend(next.effects);
        Ok(decision)
    }

    /// A changed fact opens a contact that has no position, as soon as the rules allow. One that was
    /// imported was so however late it opens.
    pub(super) fn facts_changed(
        &self,
        requested_stage: &str,
        imported: bool,
    ) -> Result<Decision, Refusal> {
        if self.position.stage.is_some() {
            return self.facts_fire(2);
        }
        if self.position.is_closed() {
            return Ok(Decision::default());
        }
        let request = Request {
            actor: POLICY_ACTOR,
            ..Request::default()
        };
        // Nobody asked for this opening, so its refusal is no refusal of the command.
        Ok(self
            .open(requested_stage, &request, imported)
            .unwrap_or_else(|refusal| Decision::withheld(Withheld::Refused(refusal))))
    }

    /// The requested stage, else the first intake rule that holds, else the initial stage.
    fn place(&self, requested_stage: &str, request: &Request<'a>) -> Result<Place, Refusal> {
        if self.follows_primary() {
            return Ok(Place::Nowhere(Withheld::CompanyFirst));
        }
        if !requested_stage.is_empty() {
            let to = self.target(requested_stage)?;
            return if self.policy.create_in().any(|open| open == requested_stage) {
                Ok(Place::Stage(to))
            } else {
                Err(self.not_allowed(requested_stage))
            };
        }
        let scope = self.scope(request);
        for (rule, expression) in self.policy.intake() {
            if !super::holds(Some(expression), &scope) {
                continue;
            }
            return if rule.none {
                Ok(Place::Nowhere(Withheld::Intake {
                    rule: rule.id.clone(),
                }))
            } else {
                self.target(&rule.stage).map(Place::Stage)
            };
        }
        self.target(&self.policy.definition().initial)
            .map(Place::Stage)
    }
}
