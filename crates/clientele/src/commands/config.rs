//! `config show` and `config reference`: what the settings are, and what they can be.

use crate::cli::Config;
use crate::settings::{Said, reference};

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn run(command: &Config, said: &Said) {
    match command {
        Config::Show(_) => print!("{}", said.shown()),
        Config::Reference => print!("{}", reference::page()),
    }
}
