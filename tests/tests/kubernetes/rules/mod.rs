//! What must be true of an installation, as rules that each list what is wrong with it.

mod alerts;
mod bus;
mod drain;
mod images;
mod network;
mod pods;
mod probes;
mod roles;
mod secrets;
mod settings;
mod wiring;

use crate::objects::Objects;

/// Says what is wrong with an installation: nothing, if all is well.
pub type Rule = fn(&Objects) -> Vec<String>;

/// The rules by their names.
pub const RULES: &[(&str, Rule)] = &[
    ("namespace", pods::namespace),
    ("pods", pods::pods),
    ("containers", pods::containers),
    ("resources", pods::resources),
    ("images", images::pinned),
    ("probes", probes::probes),
    ("labels", wiring::labels),
    ("services", wiring::services),
    ("budgets", wiring::budgets),
    ("scaling", wiring::scaling),
    ("references", wiring::references),
    ("settings", settings::known),
    ("addresses", settings::addresses),
    ("certificates", settings::certificates),
    ("secrets", secrets::secrets),
    ("roles", roles::roles),
    ("memory", alerts::memory),
    ("bus", bus::bus),
    ("drain", drain::drain),
    ("connections", drain::connections),
    ("network", network::arrows),
];

/// What a rule found, by the object it is about.
pub struct Findings(Vec<String>);

impl Findings {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Notes what is wrong with `subject`, unless `good`.
    pub fn require(&mut self, good: bool, subject: &str, problem: &str) {
        if !good {
            self.0.push(format!("{subject}: {problem}"));
        }
    }

    /// All that was noted.
    pub fn all(self) -> Vec<String> {
        self.0
    }
}
