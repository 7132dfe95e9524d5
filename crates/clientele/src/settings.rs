//! Where settings come from: a flag, else the environment, else the file of `--config`, else the
//! default.
//!
//! Invariant: what can be set is what the command line, `cli`, says; there is no second list. What a
//! file says is put on the command line where neither that nor the environment says it.

mod file;
mod origins;
pub mod reference;
mod secrets;
mod show;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::exit::WrongSetting;
use origins::is_secret;
pub use origins::{Origin, Origins};

/// The command as it was asked for.
pub struct Settings {
    /// The command with its settings.
    pub cli: Cli,
    /// What was said to it.
    pub said: Said,
}

/// What was said to a command, and by whom.
pub struct Said {
    /// Who said each setting that is not at its default.
    pub origins: Origins,
    matches: ArgMatches,
}

/// Why there are no settings.
pub enum Unread {
    /// The command line can't be read, or asks for help or the version; the text says it all.
    Usage(clap::Error),
    /// A setting can't be used.
    Setting(WrongSetting, Origins),
}

/// What to do about a setting that is missing.
const ELSEWHERE: &str = "settings can also come from the environment, as CLIENTELE_ and the name in capitals, or from the \
                         YAML file of --config";

/// The values of settings, by their name on the command line without dashes.
type Values = BTreeMap<String, Vec<OsString>>;

/// The command line with what each setting can do: every secret can also be the content of a file.
pub fn command() -> Command {
    secrets::with_files(Cli::command())
}

impl Settings {
    /// Reads the settings of the command that `arguments` ask for; the first one is the program.
    pub fn read(mut arguments: Vec<OsString>) -> Result<Self, Unread> {
        let first = command()
            .ignore_errors(true)
            .try_get_matches_from(&arguments);
        let first = first.map_err(Unread::Usage)?;
        let command = command();
        let (path, said) = asked(&command, &first);
        let mut origins = Origins::said(path.last().unwrap_or(&&command), said);
        match origins.complete(&path, said) {
            Ok(values) => {
                let end = arguments.iter().position(|argument| argument == "--");
                let end = end.unwrap_or(arguments.len());
                arguments.splice(end..end, flags(values));
            }
            Err(wrong) => return Err(Unread::Setting(wrong, origins)),
        }
        let matches = match command.clone().try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) => return Err(explained(error, &path, origins)),
        };
        let cli = Cli::from_arg_matches(&matches).map_err(Unread::Usage)?;
        let said = Said { origins, matches };
        Ok(Self { cli, said })
    }
}

impl Origins {
    /// Adds what the file of `--config` and files of secrets say, where nothing of more weight does;
    /// the values of it.
    fn complete(&mut self, path: &[&Command], said: &ArgMatches) -> Result<Values, WrongSetting> {
        let Some(command) = path.last() else {
            return Ok(Values::new());
        };
        let mut values = Values::new();
        if let Ok(Some(config)) = said.try_get_one::<PathBuf>("config") {
            for entry in file::read(config, command)? {
                if self.of(&entry.name).is_none() {
                    let origin = Origin::File {
                        path: config.clone(),
                        line: entry.line,
                    };
                    self.insert(entry.name.clone(), origin);
                    values.insert(entry.name, entry.values);
                }
            }
        }
        secrets::read(command, said, &mut values, self)?;
        Ok(values)
    }
}

/// The commands from the topmost to the one that is asked for, and what is said to it.
fn asked<'a>(
    mut command: &'a Command,
    mut said: &'a ArgMatches,
) -> (Vec<&'a Command>, &'a ArgMatches) {
    let mut path = Vec::new();
    while let Some((name, below)) = said.subcommand()
        && let Some(found) = command.find_subcommand(name)
    {
        path.push(found);
        (command, said) = (found, below);
    }
    (path, said)
}

/// Values as flags on the command line.
fn flags(values: Values) -> impl Iterator<Item = OsString> {
    values.into_iter().flat_map(|(name, values)| {
        values.into_iter().map(move |value| {
            let mut flag = OsString::from(format!("--{name}"));
            if !value.is_empty() {
                flag.push("=");
                flag.push(value);
            }
            flag
        })
    })
}

/// Whether an argument is a flag without a value.
fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// Says of a value that can't be used who gave it; never the value of a secret.
fn explained(mut error: clap::Error, path: &[&Command], origins: Origins) -> Unread {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![ELSEWHERE.into()]),
        );
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let value_is_wrong = matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    );
    let (true, Some(argument)) = (value_is_wrong, text(ContextKind::InvalidArg)) else {
        return Unread::Usage(error);
    };
    let flag = argument.split([' ', '=']).next().unwrap_or_default();
    let name = flag.trim_start_matches("--");
    let mut args = path
        .last()
        .into_iter()
        .flat_map(|command| command.get_arguments());
    let secret = args.any(|arg| arg.get_long() == Some(name) && is_secret(arg));
    // What was said on the command line is before the person's eyes.
    if !secret && matches!(origins.of(flag), None | Some(Origin::Flag)) {
        return Unread::Usage(error);
    }
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let reason = std::error::Error::source(&error).map(ToString::to_string);
    let choice = text(ContextKind::ValidValue).map(|valid| format!("known are {valid}"));
    let problem = match reason.or(choice) {
        _ if secret => "the value can't be used (it is a secret and not shown)".to_owned(),
        Some(reason) => format!("{value:?} can't be used: {reason}"),
        None => format!("{value:?} can't be used"),
    };
    Unread::Setting(WrongSetting::new(flag, &problem), origins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_in_itself_right() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_of_a_server_is_a_flag_a_variable_and_a_key() {
        let command = command();
        for name in ["up", "serve"] {
            let server = command.find_subcommand(name).expect("the command");
            let settings = server.get_arguments().filter(|arg| !arg.is_positional());
            for arg in settings {
                let flag = arg.get_long().expect("a flag");
                let variable = arg
                    .get_env()
                    .map(|name| name.to_string_lossy().into_owned());
                let expected = format!("CLIENTELE_{}", flag.to_uppercase().replace('-', "_"));
                assert_eq!(variable, Some(expected), "{flag}");
            }
        }
    }

    #[test]
    fn whatever_may_hold_a_password_is_a_secret() {
        let mut commands = vec![command()];
        while let Some(command) = commands.pop() {
            for arg in command.get_arguments() {
                let name = arg.get_long().unwrap_or_default();
                let holds = name.ends_with("database-url") || name == "token";
                assert!(is_secret(arg) || !holds, "{name}");
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
