//! How promising a contact is: points per activity, explained term by term.

use types::Micros;

use crate::decide::{POLICY_ACTOR, Position};
use crate::expression::Scope;
use crate::facts::{Activity, Facts};
use crate::policy::Policy;

/// A score and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// The sum of the terms.
    pub total: i64,
    /// The terms that added something, in the order of the definition.
    pub terms: Vec<Term>,
}

/// What one term added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The term's id.
    pub id: String,
    /// How many activities matched.
    pub matches: u32,
    /// What they add together.
    pub points: i64,
}

/// Scores `activities` by the policy's terms. The order of the activities does not matter.
#[must_use]
pub fn score(
    policy: &Policy,
    position: &Position,
    facts: &Facts,
    activities: &[Activity],
    now: Micros,
) -> Scored {
    let stage = position.stage.as_deref().unwrap_or_default();
    let mut scored = Scored::default();
    for (score, expression) in policy.scores() {
        let matching = activities.iter().filter(|activity| {
            let scope = Scope {
                facts,
                engagement: &facts.engagement,
                stage,
                role: policy.role(stage).map_or("", types::Role::as_str),
                entered: position.stage.as_ref().map(|_| position.entered),
                activity: Some(activity),
                reason: "",
                actor: POLICY_ACTOR,
                now,
            };
            expression.holds(&scope) == Ok(true)
        });
        let matches = u32::try_from(matching.count()).unwrap_or(u32::MAX);
        if matches > 0 {
            let points = i64::from(matches) * i64::from(score.points);
            scored.total = scored.total.saturating_add(points);
            scored.terms.push(Term {
                id: score.id.clone(),
                matches,
                points,
            });
        }
    }
    scored
}
