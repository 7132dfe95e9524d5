//! The file of `--config`: YAML, a setting a line, named as on the command line without the dashes.

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Spanned, with_deserializer_from_str_with_options};

use super::is_switch;
use crate::exit::WrongSetting;

/// The setting that names the file.
const SETTING: &str = "--config";

/// The commands whose every setting may stand in a file. Others that take one find in it what they
/// need.
const SERVERS: [&str; 2] = ["up", "serve"];

/// One setting of the file.
pub struct Entry {
    /// Its name on the command line, without the dashes.
    pub name: String,
    /// The line of its key, from 1.
    pub line: u64,
    /// Its values; an empty one stands for a flag without a value.
    pub values: Vec<OsString>,
}

/// Reads what the file says to `command`.
pub fn read(path: &Path, command: &Command) -> Result<Vec<Entry>, WrongSetting> {
    let wrong = |problem: &dyn fmt::Display| {
        WrongSetting::new(SETTING, &format!("{}: {problem}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    // The text of an error of the format may quote the file, and with it a secret: what is said in our
    // own words is said by these, of the rest only the place.
    let problem = Cell::new(None);
    let reader = Reader {
        command,
        problem: &problem,
    };
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let read =
        with_deserializer_from_str_with_options(&text, options, |yaml| reader.deserialize(yaml));
    read.map_err(|error| {
        if let Some(problem) = problem.take() {
            return wrong(&problem);
        }
        let line = error.location().map_or(1, |location| location.line());
        wrong(&format!(
            "line {line}: this is not YAML of the form `setting: value`"
        ))
    })
}

struct Reader<'a> {
    command: &'a Command,
    problem: &'a Cell<Option<String>>,
}

impl Reader<'_> {
    fn refuse<E: Error>(&self, line: u64, problem: &str) -> E {
        self.problem.set(Some(format!("line {line}: {problem}")));
        E::custom(problem)
    }

    fn entry<'de, A: MapAccess<'de>>(
        &self,
        name: String,
        line: u64,
        map: &mut A,
    ) -> Result<Option<Entry>, A::Error> {
        let Some(arg) = setting(self.command, &name) else {
            map.next_value::<IgnoredAny>()?;
            return match self.foreign(&name) {
                Ok(()) => Ok(None),
                Err(problem) => Err(self.refuse(line, &problem)),
            };
        };
        let values = values(arg, map)
            .map_err(|problem| self.refuse::<A::Error>(line, &format!("{name} {problem}")))?;
        Ok(Some(Entry { name, line, values }))
    }

    /// What it means that a setting is none of the command's.
    fn foreign(&self, name: &str) -> Result<(), String> {
        let cli = super::command();
        let servers = SERVERS.map(|server| cli.find_subcommand(server));
        let mut servers = servers.into_iter().flatten();
        let server = servers.find(|server| setting(server, name).is_some());
        match server {
            Some(_) if !SERVERS.contains(&self.command.get_name()) => Ok(()),
            Some(server) => Err(format!(
                "{name} is a setting of `clientele {}`, not of `clientele {}`",
                server.get_name(),
                self.command.get_name()
            )),
            None => Err(match nearest(self.command, name) {
                Some(known) => format!("there is no setting {name}; did you mean {known}?"),
                None => format!("there is no setting {name}; see docs/configuration.md"),
            }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let line = key.referenced.line();
            if entries.iter().any(|entry| entry.name == key.value) {
                return Err(self.refuse(line, &format!("{} stands here again", key.value)));
            }
            entries.extend(self.entry(key.value, line, &mut map)?);
        }
        Ok(entries)
    }
}

/// The value of a setting: a list where it may be repeated, else one value.
fn values<'de, A: MapAccess<'de>>(arg: &Arg, map: &mut A) -> Result<Vec<OsString>, &'static str> {
    if matches!(arg.get_action(), ArgAction::Append) {
        let values: Vec<String> = map.next_value().map_err(|_| "must be a list of values")?;
        if values.iter().any(String::is_empty) {
            return Err("has an empty value");
        }
        return Ok(values.into_iter().map(OsString::from).collect());
    }
    let value: Option<String> = map.next_value().map_err(|_| "must be a single value")?;
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or("has no value: give it one, or leave the line out")?;
    if !is_switch(arg) {
        return Ok(vec![value.into()]);
    }
    match value.as_str() {
        "true" => Ok(vec![OsString::new()]),
        "false" => Ok(Vec::new()),
        _ => Err("must be true or false"),
    }
}

/// The setting of the command with this name.
fn setting<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut args = command.get_arguments();
    args.find(|arg| arg.get_long() == Some(name) && may_stand_in_a_file(arg))
}

/// Settings are what the environment can say too; the file itself is named outside of it.
pub(super) fn may_stand_in_a_file(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_id() != "config"
}

fn nearest<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
    let known = command
        .get_arguments()
        .filter(|arg| may_stand_in_a_file(arg));
    let known = known.filter_map(Arg::get_long);
    let scored = known.map(|known| (strsim::jaro(known, name), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.7)
        .map(|(_, known)| known)
}
