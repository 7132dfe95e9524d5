//! The settings that a command would run with, and who said each.

use std::fmt::Write;

use clap::{Arg, ArgAction, ArgMatches};

use super::file::may_stand_in_a_file;
use super::{Said, asked, command, is_secret};

impl Said {
    /// The settings of the command in the form of a file of `--config`, a line each with who said it.
    /// What has no value is left out, and of secrets there is only a comment.
    pub fn shown(&self) -> String {
        let command = command();
        let (path, said) = asked(&command, &self.matches);
        let mut text = String::new();
        let args = path
            .last()
            .into_iter()
            .flat_map(|command| command.get_arguments());
        for arg in args.filter(|arg| may_stand_in_a_file(arg)) {
            let Some(name) = arg.get_long() else { continue };
            let Some(value) = value(arg, said) else {
                continue;
            };
            let origin = self.origins.of(name);
            let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
            let line = if is_secret(arg) || names_a_user(&value) {
                format!("# {name}: a secret, not shown")
            } else {
                format!("{name}: {value}")
            };
            // Writing to a String can't fail.
            let _ = writeln!(text, "{line:<56} # {origin}");
        }
        text
    }
}

/// Whether an address holds a user, and with it perhaps a password: `http://user:password@host`.
fn names_a_user(value: &str) -> bool {
    value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'))
}

/// A value as YAML.
fn value(arg: &Arg, said: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Some(said.get_flag(id).to_string());
    }
    let raw = said.get_raw(id)?;
    let mut values: Vec<String> = raw.map(|raw| quoted(&raw.to_string_lossy())).collect();
    match arg.get_action() {
        ArgAction::Append => Some(format!("[{}]", values.join(", "))),
        _ => values.pop(),
    }
}

/// Text as a YAML scalar, in quotes unless it is plain in any reading.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_' | '-');
    if text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/') && text.chars().all(plain)
    {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
