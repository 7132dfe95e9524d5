//! The file of settings, and the command that tells about settings.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Serve, Up};

/// The file that settings can stand in.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// A YAML file of settings, named as the flags are without the dashes; flags and the environment
    /// prevail over it.
    #[arg(long, env = "CLIENTELE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What can be asked about settings.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print the settings that a server would run with, and who said each; start nothing.
    #[command(subcommand)]
    Show(Box<Shown>),
    /// Print the reference of all settings, in Markdown.
    Reference,
}

/// The server whose settings are shown.
#[derive(Debug, Subcommand)]
pub enum Shown {
    /// Those of `clientele up`.
    Up(Up),
    /// Those of `clientele serve`.
    Serve(Serve),
}
