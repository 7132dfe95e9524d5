//! How a failed command ends: one message for the person, one code for the script.

use std::fmt::Display;
use std::process::ExitCode;

use crate::settings::{Origin, Origins, Unread};

/// The code for a wrong configuration or command line (`EX_USAGE` of sysexits).
const CONFIGURATION: u8 = 64;

/// A setting that cannot be used; names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct WrongSetting {
    setting: String,
    problem: String,
}

impl WrongSetting {
    /// A setting and what is wrong with it.
    pub fn new(setting: impl Into<String>, problem: &dyn Display) -> Self {
        Self {
            setting: setting.into(),
            problem: problem.to_string(),
        }
    }
}

/// Prints why the settings of a command can't be read, or the help that was asked for, and gives the
/// exit code.
pub fn unread(unread: Unread) -> ExitCode {
    match unread {
        Unread::Usage(text) => {
            let _ = text.print();
            if text.use_stderr() {
                ExitCode::from(CONFIGURATION)
            } else {
                ExitCode::SUCCESS
            }
        }
        Unread::Setting(wrong, origins) => report(&wrong.into(), &origins),
    }
}

/// Prints why a command failed, and who said the setting that is to blame; gives the exit code.
#[expect(
    clippy::print_stderr,
    reason = "this is where the binary speaks to its person"
)]
pub fn report(error: &anyhow::Error, origins: &Origins) -> ExitCode {
    let wrong = error
        .chain()
        .find_map(<dyn std::error::Error>::downcast_ref::<WrongSetting>);
    let Some(wrong) = wrong else {
        eprintln!("clientele: {error:#}");
        return ExitCode::FAILURE;
    };
    match origins.of(&wrong.setting) {
        // What was said on the command line is before the person's eyes.
        None | Some(Origin::Flag) => eprintln!("clientele: {error:#}"),
        Some(origin) => eprintln!("clientele: {error:#} (said by {origin})"),
    }
    ExitCode::from(CONFIGURATION)
}
