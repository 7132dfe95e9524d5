//! The five definitions of lead, contact and client that Clientele ships, each from one seed.

use crate::definition::{Definition, FormatError};

/// A definition that ships with Clientele.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its id.
    pub id: &'static str,
    /// The definition as YAML.
    pub yaml: &'static str,
}

/// The preset that a workspace has until it chooses another.
pub const DEFAULT: &str = "one-way";

const PRESETS: [Preset; 5] = [
    Preset {
        id: "one-way",
        yaml: include_str!("../presets/one-way.yaml"),
    },
    Preset {
        id: "free-switch",
        yaml: include_str!("../presets/free-switch.yaml"),
    },
    Preset {
        id: "relationship",
        yaml: include_str!("../presets/relationship.yaml"),
    },
    Preset {
        id: "verified-interest",
        yaml: include_str!("../presets/verified-interest.yaml"),
    },
    Preset {
        id: "call-driven",
        yaml: include_str!("../presets/call-driven.yaml"),
    },
];

/// Every preset, the default first.
#[must_use]
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// The preset with this id.
#[must_use]
pub fn get(id: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.id == id)
}

impl Preset {
    /// The definition. Tests hold that each preset reads and compiles.
    pub fn definition(&self) -> Result<Definition, FormatError> {
        Definition::from_yaml(self.yaml)
    }
}
