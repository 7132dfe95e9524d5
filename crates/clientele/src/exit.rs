//! How a failed command ends: one message for the person, one code for the script.

use std::fmt::Display;
use std::process::ExitCode;

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

/// The exit code for a command line that cannot be read.
pub fn usage() -> ExitCode {
    ExitCode::from(CONFIGURATION)
}

/// Prints why a command failed and gives its exit code.
#[expect(
    clippy::print_stderr,
    reason = "this is where the binary speaks to its person"
)]
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("clientele: {error:#}");
    let wrong_setting = error
        .chain()
        .any(<dyn std::error::Error>::is::<WrongSetting>);
    if wrong_setting {
        usage()
    } else {
        ExitCode::FAILURE
    }
}
