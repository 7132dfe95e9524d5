//! Making another policy the active one: what that does to the people in flight.

use std::collections::{BTreeMap, BTreeSet};

use types::Role;

use crate::company::{Kind, entitlements};
use crate::policy::Policy;

/// Who stands where: per stage, how many contacts of each kind.
pub type Standing = BTreeMap<String, BTreeMap<Kind, u64>>;

/// What activating a policy would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of each stage of the old policy that still leads somewhere.
    pub stages: Vec<StagePlan>,
    /// How many contacts would change their stage.
    pub moving: u64,
    /// How many would stay in theirs.
    pub staying: u64,
    /// Per entitlement, how many contacts would gain it.
    pub gaining: BTreeMap<String, u64>,
    /// Per entitlement, how many contacts would lose it.
    pub losing: BTreeMap<String, u64>,
    /// Whether billing must raise its fence before the policy is active: some stage loses an
    /// entitlement, for people or for companies.
    pub fence: bool,
}

/// What becomes of the people in one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePlan {
    /// The stage of the old policy.
    pub from: String,
    /// The stage of the new policy.
    pub to: String,
    /// The role before.
    pub from_role: Role,
    /// The role after.
    pub to_role: Role,
    /// How many contacts stand there.
    pub contacts: u64,
    /// The entitlements that the stage would gain, whoever stands there.
    pub gained: BTreeSet<String>,
    /// The entitlements that it would lose.
    pub lost: BTreeSet<String>,
}

/// Why a policy cannot be activated with this stage map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Obstacle {
    /// The stage would vanish with people in it, and the map says nothing about it.
    #[error("the stage `{stage}` would vanish with {contacts} contact(s) in it; map it to another")]
    StageUnmapped {
        /// The stage.
        stage: String,
        /// How many contacts stand there.
        contacts: u64,
    },
    /// The map names a stage that neither holds anyone nor is one of the old policy.
    #[error("the active policy has no stage `{stage}` to map")]
    SourceUnknown {
        /// The stage.
        stage: String,
    },
    /// The map leads to a stage that the new policy lacks.
    #[error("the new policy has no stage `{stage}` to map to")]
    TargetUnknown {
        /// The stage.
        stage: String,
    },
}

impl Obstacle {
    /// The reason as it is sent: `STAGE_UNMAPPED` or `STAGE_UNKNOWN`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::StageUnmapped { .. } => "STAGE_UNMAPPED",
            Self::SourceUnknown { .. } | Self::TargetUnknown { .. } => "STAGE_UNKNOWN",
        }
    }
}

/// The stage of the new policy for someone who stands in `stage`: the map's answer, else the stage
/// of the same id.
#[must_use]
pub fn mapped<'a>(
    new: &'a Policy,
    stage_map: &'a BTreeMap<String, String>,
    stage: &'a str,
) -> Option<&'a str> {
    let to = stage_map.get(stage).map_or(stage, String::as_str);
    new.stage(to).map(|stage| stage.id.as_str())
}

/// Plans the activation of `new` in place of `old`. `contacts` counts who stands where; stages
/// without people may be left out of it. Refusals list every obstacle.
pub fn plan(
    old: &Policy,
    new: &Policy,
    stage_map: &BTreeMap<String, String>,
    contacts: &Standing,
) -> Result<Plan, Vec<Obstacle>> {
    let obstacles = obstacles(old, new, stage_map, contacts);
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let mut plan = Plan::default();
    let nobody = BTreeMap::new();
    let vanished = contacts
        .keys()
        .map(String::as_str)
        .filter(|stage| old.stage(stage).is_none());
    for from in old.stages().chain(vanished) {
        let Some(to) = mapped(new, stage_map, from) else {
            continue;
        };
        let kinds = contacts.get(from).unwrap_or(&nobody);
        let before = old.entitle(from);
        let after = new.entitle(to);
        let stage = StagePlan {
            from: from.to_owned(),
            to: to.to_owned(),
            from_role: old.role(from).unwrap_or(Role::Contact),
            to_role: new.role(to).unwrap_or(Role::Contact),
            contacts: total(kinds),
            gained: after.difference(before).cloned().collect(),
            lost: before.difference(after).cloned().collect(),
        };
        plan.count(stage);
        for kind in [Kind::Person, Kind::Company, Kind::Group] {
            let count = kinds.get(&kind).copied().unwrap_or_default();
            let before = entitlements(old, kind, Some(from));
            plan.count_keys(count, &before, &entitlements(new, kind, Some(to)));
        }
    }
    Ok(plan)
}

fn total(kinds: &BTreeMap<Kind, u64>) -> u64 {
    kinds
        .values()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

impl Plan {
    fn count(&mut self, stage: StagePlan) {
        let total = if stage.from == stage.to {
            &mut self.staying
        } else {
            &mut self.moving
        };
        *total = total.saturating_add(stage.contacts);
        self.stages.push(stage);
    }

    /// Counts what these contacts gain and lose.
    fn count_keys(&mut self, contacts: u64, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        self.fence |= !before.is_subset(after);
        if contacts == 0 {
            return;
        }
        for (keys, counts) in [
            (after.difference(before), &mut self.gaining),
            (before.difference(after), &mut self.losing),
        ] {
            for key in keys {
                let count = counts.entry(key.clone()).or_default();
                *count = count.saturating_add(contacts);
            }
        }
    }
}

fn obstacles(
    old: &Policy,
    new: &Policy,
    stage_map: &BTreeMap<String, String>,
    contacts: &Standing,
) -> Vec<Obstacle> {
    let mut obstacles = BTreeSet::new();
    for (from, to) in stage_map {
        if old.stage(from).is_none() && !contacts.contains_key(from) {
            obstacles.insert(Obstacle::SourceUnknown {
                stage: from.clone(),
            });
        }
        if new.stage(to).is_none() {
            obstacles.insert(Obstacle::TargetUnknown { stage: to.clone() });
        }
    }
    for (stage, kinds) in contacts {
        let count = total(kinds);
        if count > 0 && !stage_map.contains_key(stage) && new.stage(stage).is_none() {
            obstacles.insert(Obstacle::StageUnmapped {
                stage: stage.clone(),
                contacts: total(kinds),
            });
        }
    }
    obstacles.into_iter().collect()
}
