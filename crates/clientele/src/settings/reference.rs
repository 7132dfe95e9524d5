//! The reference of all settings, `docs/configuration.md`, as the command line tells them.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::builder::PossibleValue;
use clap::{Arg, Command};

use super::{command, is_secret, is_switch};

/// What stands above the tables.
const HEAD: &str = include_str!("reference/head.md");
/// What stands above the settings of the commands that call a running suite.
const CLIENTS: &str = include_str!("reference/clients.md");
/// A number that is beyond every range.
const BEYOND: i64 = i64::MAX;

/// One setting, and the commands that have it.
struct Setting {
    arg: Arg,
    range: String,
    commands: Vec<String>,
}

/// The page, in Markdown.
pub fn page() -> String {
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    let cli = command();
    for (path, command) in leaves(&cli, &mut Vec::new()) {
        let takes_file = command.get_arguments().any(|arg| arg.get_id() == "config");
        let settings = if takes_file {
            &mut servers
        } else {
            &mut clients
        };
        collect(settings, &path, command);
    }
    format!("{HEAD}{}{CLIENTS}{}", tables(&servers), tables(&clients))
}

/// The commands that do something, with the words that ask for them. `config show` has the settings of
/// the commands that it shows, and is left out.
fn leaves<'a>(command: &'a Command, path: &mut Vec<&'a str>) -> Vec<(Vec<&'a str>, &'a Command)> {
    let mut found = Vec::new();
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "config")
    {
        path.push(below.get_name());
        if below.has_subcommands() {
            found.extend(leaves(below, path));
        } else {
            found.push((path.clone(), below));
        }
        path.pop();
    }
    found
}

/// Adds the settings of a command to those that are known.
fn collect(settings: &mut Vec<Setting>, path: &[&str], command: &Command) {
    for arg in command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some())
    {
        if let Some(known) = settings.iter_mut().find(|known| is_same(&known.arg, arg)) {
            known.commands.push(path.join(" "));
            continue;
        }
        settings.push(Setting {
            arg: arg.clone(),
            range: range(path, arg),
            commands: vec![path.join(" ")],
        });
    }
}

/// Whether two commands mean the same by a setting: flags that have only their name in common don't.
fn is_same(one: &Arg, other: &Arg) -> bool {
    let same_words =
        one.get_help().map(ToString::to_string) == other.get_help().map(ToString::to_string);
    one.get_long() == other.get_long()
        && one.get_env() == other.get_env()
        && (one.get_env().is_some() || same_words)
}

/// A table for each heading, in the order of the command line.
fn tables(settings: &[Setting]) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for setting in settings {
        let heading = setting.arg.get_help_heading().unwrap_or("General");
        if !order.contains(&heading) {
            order.push(heading);
        }
        rows.entry(heading).or_default().push_str(&row(setting));
    }
    let mut text = String::new();
    for heading in order {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "\n### {heading}\n\n| setting | environment | values | default | meaning | commands |\n\
             | --- | --- | --- | --- | --- | --- |\n{}",
            rows[heading]
        );
    }
    text
}

fn row(setting: &Setting) -> String {
    let arg = &setting.arg;
    let name = arg.get_long().unwrap_or_default();
    let variable = arg.get_env().map_or_else(String::new, |variable| {
        format!("`{}`", variable.to_string_lossy())
    });
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<String> = defaults
        .map(|default| default.to_string_lossy().into_owned())
        .filter(|default| !default.is_empty())
        .map(|default| format!("`{default}`"))
        .collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.replace('|', "\\|");
    let secret = if is_secret(arg) { " **Secret.**" } else { "" };
    format!(
        "| `{name}` | {variable} | {} | {} | {help}.{secret} | {} |\n",
        setting.range,
        defaults.join(", "),
        setting.commands.join(", ")
    )
}

/// What values an argument takes: its choices, or the range of a number, which is told by how a number
/// beyond it is refused.
fn range(path: &[&str], arg: &Arg) -> String {
    if is_switch(arg) {
        return "true, false".to_owned();
    }
    let choices = arg.get_possible_values();
    if !choices.is_empty() {
        let choices: Vec<&str> = choices.iter().map(PossibleValue::get_name).collect();
        return choices.join(", ");
    }
    let flag = format!("--{}={BEYOND}", arg.get_long().unwrap_or_default());
    let words = std::iter::once("clientele").chain(path.iter().copied());
    let tried = command().try_get_matches_from(words.chain([flag.as_str()]));
    let refusal = tried
        .err()
        .and_then(|error| std::error::Error::source(&error).map(ToString::to_string));
    let range = refusal.and_then(|text| {
        let (_, range) = text.split_once(&format!("{BEYOND} is not in "))?;
        Some(range.replace("..=", " to "))
    });
    range.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the page anew with `UPDATE=1 cargo test -p clientele reference`.
    #[test]
    fn the_page_in_the_docs_is_the_present_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = page();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).expect("a page that can be written");
        }
        let written = std::fs::read_to_string(path).expect("the page");
        assert!(
            written == page,
            "docs/configuration.md is not what `clientele config reference` prints: run \
             UPDATE=1 cargo test -p clientele reference"
        );
    }

    #[test]
    fn ranges_are_those_that_are_enforced() {
        let page = page();
        for row in [
            "| `pool-max` | `CLIENTELE_POOL_MAX` | 1 to 200 | `16` |",
            "| `log-format` | `CLIENTELE_LOG_FORMAT` | auto, text, json | `auto` |",
            "| `database-url-file` | `CLIENTELE_DATABASE_URL_FILE` |",
        ] {
            assert!(page.contains(row), "{row}");
        }
    }
}
