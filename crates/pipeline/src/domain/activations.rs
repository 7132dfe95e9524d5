//! Putting a revision in force: how far it is, and where it leads those who stand somewhere.

use std::collections::BTreeMap;

use types::{Micros, Role};

use super::policies::{Active, PolicyRef};

/// How far an activation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits until no holder uses a grant from before.
    Activating,
    /// It is in force; positions are still being rewritten.
    Mapping,
    /// It is in force and every position is rewritten.
    Complete,
    /// It was given up before it came into force.
    Cancelled,
}

impl State {
    /// The name that rows use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activating => "ACTIVATING",
            Self::Mapping => "MAPPING",
            Self::Complete => "COMPLETE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    pub fn of(name: &str) -> Option<Self> {
        [
            Self::Activating,
            Self::Mapping,
            Self::Complete,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }

    /// Whether nothing will happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }
}

/// One time that a revision was put in force, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The workspace's id.
    pub workspace: String,
    /// The number within the workspace, from 1; 0 where it was only validated.
    pub number: i64,
    /// The revision.
    pub policy: PolicyRef,
    /// The revision in force before.
    pub previous: PolicyRef,
    /// The activation in force before.
    pub previous_number: i64,
    /// Where the stages that are mapped lead.
    pub stage_map: BTreeMap<String, String>,
    /// How far it is.
    pub state: State,
    /// What it does to how many.
    pub impact: Impact,
    /// How many positions are rewritten so far.
    pub mapped_count: i64,
    /// Whether every holder of grants has to know of it before it comes into force: some stage loses
    /// an entitlement.
    pub fenced: bool,
    /// Who activated it.
    pub actor: String,
    /// When it was asked for.
    pub create_time: Micros,
    /// When it came into force.
    pub active_time: Option<Micros>,
    /// When it was complete or cancelled.
    pub end_time: Option<Micros>,
}

impl Activation {
    /// The resource name; empty where it was only validated.
    pub fn name(&self) -> String {
        if self.number == 0 {
            return String::new();
        }
        format!(
            "workspaces/{}/policyActivations/{}",
            self.workspace, self.number
        )
    }
}

/// What an activation does to how many contacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Positions there were.
    pub positions: i64,
    /// Those that change their stage.
    pub moves: i64,
    /// Those that keep it.
    pub stays: i64,
    /// Per entitlement, how many gain it.
    pub gains: BTreeMap<String, i64>,
    /// Per entitlement, how many lose it.
    pub losses: BTreeMap<String, i64>,
}

impl From<&policy::activation::Plan> for Impact {
    fn from(plan: &policy::activation::Plan) -> Self {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let counts = |map: &BTreeMap<String, u64>| {
            map.iter()
                .map(|(key, number)| (key.clone(), count(*number)))
                .collect()
        };
        Self {
            positions: count(plan.moving.saturating_add(plan.staying)),
            moves: count(plan.moving),
            stays: count(plan.staying),
            gains: counts(&plan.gaining),
            losses: counts(&plan.losing),
        }
    }
}

/// The policies that positions of one workspace may still be expressed in, the one in force last:
/// with it any position is read in the words of the policy in force.
#[derive(Clone, Debug)]
pub struct Lineage {
    active: Active,
    /// Earlier activations with the map that leads out of each, the newest first.
    earlier: Vec<Earlier>,
}

/// An activation that was in force, and the map that led on from it.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The policy that was in force.
    pub active: Active,
    /// The map of the activation after it.
    pub onward: BTreeMap<String, String>,
}

impl Lineage {
    /// `earlier` from the newest to the oldest.
    pub fn new(active: Active, earlier: Vec<Earlier>) -> Self {
        Self { active, earlier }
    }

    /// The policy in force.
    pub fn active(&self) -> &Active {
        &self.active
    }

    /// Earlier activations, the newest first.
    pub fn earlier(&self) -> &[Earlier] {
        &self.earlier
    }

    /// The policy of activation `number`, where it is known here.
    pub fn at(&self, number: i64) -> Option<&Active> {
        if number == self.active.number {
            return Some(&self.active);
        }
        self.earlier
            .iter()
            .map(|earlier| &earlier.active)
            .find(|active| active.number == number)
    }

    /// Whether positions of activation `number` can be read.
    pub fn reaches(&self, number: i64) -> bool {
        self.at(number).is_some()
    }

    /// The stage under the policy in force for one that stood in `stage` under `number`. A stage
    /// that the maps lead nowhere stays as it is: that activation let nobody stand there.
    pub fn mapped(&self, number: i64, stage: &str) -> String {
        let mut stage = stage.to_owned();
        for earlier in self.earlier.iter().rev() {
            if earlier.active.number >= number
                && let Some(to) = earlier.onward.get(&stage)
            {
                stage.clone_from(to);
            }
        }
        stage
    }

    /// The role of a stage under the policy in force.
    pub fn role(&self, stage: Option<&str>) -> Option<Role> {
        stage.and_then(|stage| self.active.policy.role(stage))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::{Compiler, Fields, presets};

    use super::*;

    fn active(compiler: &Compiler, number: i64, preset: &str) -> Active {
        let definition = presets::get(preset)
            .expect("it ships")
            .definition()
            .expect("it reads");
        let policy = compiler
            .compile(&definition, &Fields::none())
            .expect("it compiles");
        Active {
            number,
            reference: PolicyRef::new(preset, 1),
            policy: Arc::new(policy),
        }
    }

    #[test]
    fn maps_are_applied_one_after_the_other_from_where_a_position_stands() {
        let compiler = Compiler::start().expect("a thread");
        let onward = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
                .collect()
        };
        let lineage = Lineage::new(
            active(&compiler, 5, "one-way"),
            vec![
                Earlier {
                    active: active(&compiler, 3, "relationship"),
                    onward: onward(&[("contact", "prospect"), ("customer", "client")]),
                },
                Earlier {
                    active: active(&compiler, 1, "free-switch"),
                    onward: onward(&[("lead", "contact"), ("client", "customer")]),
                },
            ],
        );
        for (number, stage, shown) in [
            (1, "lead", "prospect"),
            (1, "client", "client"),
            (1, "contact", "prospect"),
            (3, "lead", "lead"),
            (3, "customer", "client"),
            (5, "lead", "lead"),
        ] {
            assert_eq!(lineage.mapped(number, stage), shown, "{stage} of {number}");
        }
        assert!(lineage.reaches(3) && !lineage.reaches(2));
        assert_eq!(lineage.role(Some("client")), Some(Role::Client));
        assert_eq!(lineage.role(None), None);
    }
}
