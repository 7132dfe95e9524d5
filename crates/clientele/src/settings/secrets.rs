//! Secrets as the content of files: for each setting `--NAME` whose value must not be shown there is
//! `--NAME-file`, by itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStr, Resettable, Str};
use clap::{Arg, ArgMatches, Command, value_parser};

use super::Values;
use super::origins::{Origin, Origins, is_secret};
use crate::exit::WrongSetting;

/// Gives each secret of the command and of those below it a setting for its file.
pub fn with_files(command: Command) -> Command {
    let files: Vec<Arg> = secrets(&command).filter_map(file_of).collect();
    let told = command.mut_args(|arg| match (is_secret(&arg), arg.get_help()) {
        (true, Some(help)) => {
            let name = arg.get_long().unwrap_or_default();
            let help = format!("{help}; --{name}-file names a file with it");
            arg.help(help)
        }
        _ => arg,
    });
    told.args(files).mut_subcommands(with_files)
}

fn secrets(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| is_secret(arg))
}

/// The setting for a secret's file. It is left out of the help, where the secret's own line tells it.
fn file_of(secret: &Arg) -> Option<Arg> {
    let variable = secret.get_env()?.to_string_lossy();
    let name = secret.get_long()?;
    let heading = secret
        .get_help_heading()
        .map(|heading| Str::from(heading.to_owned()));
    let file = Arg::new(format!("{}_file", secret.get_id()))
        .help_heading(heading.map_or(Resettable::Reset, Resettable::Value))
        .long(Str::from(format!("{name}-file")))
        .env(OsStr::from(format!("{variable}_FILE")))
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("A file whose content is --{name}"))
        .hide(true);
    Some(file)
}

/// Reads the files of the command's secrets. Of a secret and its file the one that is said with more
/// weight counts; both with the same can't be meant.
pub fn read(
    command: &Command,
    said: &ArgMatches,
    values: &mut Values,
    origins: &mut Origins,
) -> Result<(), WrongSetting> {
    for name in secrets(command).filter_map(Arg::get_long) {
        let file = format!("{name}-file");
        let Some(of_file) = origins.of(&file).cloned() else {
            continue;
        };
        match origins.of(name) {
            Some(of_value) if of_value.weight() > of_file.weight() => continue,
            Some(of_value) if of_value.weight() == of_file.weight() => {
                let problem = format!("can't be meant together with --{file} ({of_file})");
                return Err(WrongSetting::new(format!("--{name}"), &problem));
            }
            _ => {}
        }
        let path = match values.remove(&file) {
            Some(paths) => paths.into_iter().next().map(PathBuf::from),
            None => said.get_one::<PathBuf>(&file.replace('-', "_")).cloned(),
        };
        // A path that can't be read as one is for the command line to refuse.
        let Some(path) = path else { continue };
        let content = content(&path).map_err(|problem| {
            WrongSetting::new(
                format!("--{file}"),
                &format!("{}: {problem}", path.display()),
            )
        })?;
        values.insert(name.to_owned(), vec![content]);
        let named_by = Box::new(of_file);
        origins.insert(name.to_owned(), Origin::SecretFile { path, named_by });
    }
    Ok(())
}

/// A secret's file without the line end that editors leave behind it.
fn content(path: &Path) -> Result<OsString, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.into())
}
