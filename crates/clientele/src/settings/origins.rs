//! Who said a setting.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// Who said a setting that is not at its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A variable of the environment.
    Environment(String),
    /// The file of `--config`.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: u64,
    },
    /// A file that holds the value of a secret.
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Who named it.
        named_by: Box<Origin>,
    },
}

impl Origin {
    /// What prevails over what: the greater.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Flag => 3,
            Self::Environment(_) => 2,
            Self::File { .. } => 1,
            Self::SecretFile { named_by, .. } => named_by.weight(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Environment(variable) => write!(f, "the environment, {variable}"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::SecretFile { path, named_by } => {
                write!(f, "the file {}, named by {named_by}", path.display())
            }
        }
    }
}

/// Who said which setting, by its name on the command line without dashes.
#[derive(Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// What the command line and the environment say to `command`.
    pub(super) fn said(command: &Command, said: &ArgMatches) -> Self {
        let named = command.get_arguments().filter_map(|arg| {
            let name = arg.get_long()?.to_owned();
            Some((name, of_arg(arg, said)?))
        });
        Self(named.collect())
    }

    /// Who said the setting, which may be written as the flag; nobody if it is at its default.
    pub fn of(&self, setting: &str) -> Option<&Origin> {
        self.0.get(setting.trim_start_matches("--"))
    }

    pub(super) fn insert(&mut self, name: String, origin: Origin) {
        self.0.insert(name, origin);
    }
}

fn of_arg(arg: &Arg, said: &ArgMatches) -> Option<Origin> {
    if said.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
        return Some(Origin::Flag);
    }
    // Asked of the environment itself: a value that clap could not read counts as said, too.
    let variable = arg.get_env()?;
    std::env::var_os(variable)
        .is_some()
        .then(|| Origin::Environment(variable.to_string_lossy().into_owned()))
}

/// Whether the setting's value must not be shown: those whose value in the environment the help hides.
pub fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}
