//! A policy that was checked: what `decide` takes.

use std::collections::{BTreeSet, HashMap};

use types::Role;

use crate::company;
use crate::definition::{Definition, Guard, Intake, Mode, Score, Stage, Transition, Trigger};
use crate::expression::{Expression, Fields};
use crate::validate::{self, Site};

/// A checked policy. Made only by [`crate::Compiler`], so whoever holds one may rely on it: every
/// id resolves, every expression gives a bool, and no stage but a CLIENT one grants `invoice` or
/// `project`.
#[derive(Clone, Debug)]
pub struct Policy {
    definition: Definition,
    fields: Fields,
    index: HashMap<String, StageIndex>,
    entitlements: Vec<BTreeSet<String>>,
    transitions: HashMap<(StageIndex, StageIndex), usize>,
    /// Per stage, the guards on entering it.
    enter: Vec<Vec<usize>>,
    /// Per transition, its guards and then those on entering its target.
    guards_of: Vec<Vec<usize>>,
    expressions: Expressions,
}

/// A stage by its place in the definition.
pub(crate) type StageIndex = usize;

/// The compiled expressions, in the order of the definition's lists.
#[derive(Clone, Debug, Default)]
struct Expressions {
    guards: Vec<Expression>,
    /// The guard of every move where a person must belong to a company.
    membership: Option<(Guard, Expression)>,
    intake: Vec<Expression>,
    triggers: Vec<Option<Expression>>,
    scores: Vec<Expression>,
}

static NONE: BTreeSet<String> = BTreeSet::new();

impl Policy {
    /// `expressions` in the order of `validate::expressions`; `definition` has no faults.
    pub(crate) fn new(
        definition: Definition,
        fields: Fields,
        expressions: Vec<Expression>,
    ) -> Self {
        let mut compiled = Expressions::default();
        let sites = validate::expressions(&definition);
        compiled.triggers = vec![None; definition.triggers.len()];
        for (site, expression) in sites.iter().zip(expressions) {
            match site.at {
                Site::GUARD => compiled.guards.push(expression),
                Site::MEMBERSHIP => {
                    compiled.membership = Some((company::membership(), expression));
                }
                Site::INTAKE => compiled.intake.push(expression),
                Site::SCORE => compiled.scores.push(expression),
                trigger => compiled.triggers[trigger] = Some(expression),
            }
        }
        let index: HashMap<String, StageIndex> = definition
            .stages
            .iter()
            .enumerate()
            .map(|(at, stage)| (stage.id.clone(), at))
            .collect();
        let guard_at: HashMap<&str, usize> = definition
            .guards
            .iter()
            .enumerate()
            .map(|(at, guard)| (guard.id.as_str(), at))
            .collect();
        let places = |ids: &[String]| -> Vec<usize> {
            ids.iter()
                .filter_map(|id| guard_at.get(id.as_str()).copied())
                .collect()
        };
        let enter: Vec<Vec<usize>> = definition
            .stages
            .iter()
            .map(|stage| places(&stage.enter))
            .collect();
        let mut transitions = HashMap::new();
        let mut guards_of = Vec::with_capacity(definition.transitions.len());
        for (at, transition) in definition.transitions.iter().enumerate() {
            let mut guards = places(&transition.guards);
            if let (Some(&from), Some(&to)) =
                (index.get(&transition.from), index.get(&transition.to))
            {
                guards.extend(
                    enter[to]
                        .iter()
                        .filter(|guard| !places(&transition.guards).contains(guard)),
                );
                transitions.insert((from, to), at);
            }
            guards_of.push(guards);
        }
        let entitlements = definition
            .stages
            .iter()
            .map(|stage| stage.entitlements.iter().cloned().collect())
            .collect();
        Self {
            definition,
            fields,
            index,
            entitlements,
            transitions,
            enter,
            guards_of,
            expressions: compiled,
        }
    }

    /// The definition it was compiled from.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The field declarations it was compiled with.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The ids of the stages, in the order of the definition.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.definition.stages.iter().map(|stage| stage.id.as_str())
    }

    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.index.get(id).map(|&at| self.stage_at(at))
    }

    /// What the stage means to the other services; `None` where there is no such stage.
    #[must_use]
    pub fn role(&self, stage: &str) -> Option<Role> {
        self.stage(stage).map(|stage| stage.role)
    }

    /// The keys that `stage` grants; none where there is no such stage.
    #[must_use]
    pub fn entitle(&self, stage: &str) -> &BTreeSet<String> {
        self.index
            .get(stage)
            .map_or(&NONE, |&at| self.entitlements_at(Some(at)))
    }

    /// Whether `stage` grants `entitlement`. What is not listed is denied, known or not.
    #[must_use]
    pub fn entitles(&self, stage: &str, entitlement: &str) -> bool {
        self.entitle(stage).contains(entitlement)
    }

    /// What a move from one stage to another adds; no stage stands for no position.
    #[must_use]
    pub fn gained(&self, from: Option<&str>, to: Option<&str>) -> BTreeSet<String> {
        let before = from.map_or(&NONE, |stage| self.entitle(stage));
        let after = to.map_or(&NONE, |stage| self.entitle(stage));
        after.difference(before).cloned().collect()
    }

    /// What a move from one stage to another takes away.
    #[must_use]
    pub fn lost(&self, from: Option<&str>, to: Option<&str>) -> BTreeSet<String> {
        self.gained(to, from)
    }

    /// Whether moving from one stage to another passes over a stage of the funnel. Only forward
    /// moves skip: a stage that is left behind was not passed.
    #[must_use]
    pub fn is_skip(&self, from: &str, to: &str) -> bool {
        let (Some(from), Some(to)) = (self.stage(from), self.stage(to)) else {
            return false;
        };
        let place = |stage: &Stage| (stage.role, stage.order);
        self.definition
            .stages
            .iter()
            .any(|stage| place(from) < place(stage) && place(stage) < place(to))
    }

    /// The stages that may be entered from `stage`, in the order of the definition; from no
    /// position those that contacts may be opened in.
    #[must_use]
    pub fn allowed_from(&self, stage: Option<&str>) -> Vec<String> {
        match stage {
            None => self.create_in().map(str::to_owned).collect(),
            Some(from) => self
                .definition
                .transitions
                .iter()
                .filter(|transition| transition.from == from)
                .map(|transition| transition.to.clone())
                .collect(),
        }
    }

    /// The stages that contacts may be opened in.
    pub fn create_in(&self) -> impl Iterator<Item = &str> {
        let only = self
            .definition
            .create_in
            .is_empty()
            .then_some(self.definition.initial.as_str());
        let listed = self.definition.create_in.iter().map(String::as_str);
        listed.chain(only)
    }

    /// Who stands in the funnel.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.definition.mode
    }

    pub(crate) fn index_of(&self, stage: &str) -> Option<StageIndex> {
        self.index.get(stage).copied()
    }

    pub(crate) fn stage_at(&self, at: StageIndex) -> &Stage {
        &self.definition.stages[at]
    }

    pub(crate) fn entitlements_at(&self, at: Option<StageIndex>) -> &BTreeSet<String> {
        at.map_or(&NONE, |at| &self.entitlements[at])
    }

    pub(crate) fn transition(&self, from: StageIndex, to: StageIndex) -> Option<&Transition> {
        let at = self.transitions.get(&(from, to))?;
        self.definition.transitions.get(*at)
    }

    /// The guards of a move, each with its expression; opening has only those on entering.
    pub(crate) fn guards(
        &self,
        from: Option<StageIndex>,
        to: StageIndex,
    ) -> impl Iterator<Item = (&Guard, &Expression)> {
        let places: &[usize] = match from {
            None => &self.enter[to],
            Some(from) => self
                .transitions
                .get(&(from, to))
                .map_or(&[], |&at| &self.guards_of[at]),
        };
        let own = places
            .iter()
            .map(|&at| (&self.definition.guards[at], &self.expressions.guards[at]));
        let membership = self.expressions.membership.iter();
        membership
            .map(|(guard, expression)| (guard, expression))
            .chain(own)
    }

    pub(crate) fn intake(&self) -> impl Iterator<Item = (&Intake, &Expression)> {
        self.definition.intake.iter().zip(&self.expressions.intake)
    }

    pub(crate) fn triggers(&self) -> impl Iterator<Item = (&Trigger, Option<&Expression>)> {
        self.definition
            .triggers
            .iter()
            .zip(self.expressions.triggers.iter().map(Option::as_ref))
    }

    pub(crate) fn trigger_at(&self, place: usize) -> Option<&Trigger> {
        self.definition.triggers.get(place)
    }

    pub(crate) fn scores(&self) -> impl Iterator<Item = (&Score, &Expression)> {
        self.definition.scores.iter().zip(&self.expressions.scores)
    }
}
