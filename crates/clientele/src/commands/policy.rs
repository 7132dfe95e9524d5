//! `policy check` and `policy show`: policies as files, without a server.

use std::path::Path;

use anyhow::{Context, Result, bail};
use policy::{CompileError, Compiler, Definition, Fields, presets};

use crate::cli::Policy;

/// Runs the command.
pub fn run(command: &Policy) -> Result<()> {
    match command {
        Policy::Check { file } => check(file),
        Policy::Show { preset } => show(preset),
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn check(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    let definition = Definition::from_yaml(&text)
        .with_context(|| format!("{} is not a policy", file.display()))?;
    match Compiler::start()?.compile(&definition, &Fields::none()) {
        Ok(_) => {
            println!(
                "{}: good, {} stages and {} transitions",
                file.display(),
                definition.stages.len(),
                definition.transitions.len()
            );
            Ok(())
        }
        Err(CompileError::Invalid(faults)) => {
            for fault in &faults {
                println!("{fault}");
            }
            bail!("{} has {} fault(s)", file.display(), faults.len())
        }
        Err(error @ CompileError::Busy) => Err(error.into()),
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn show(preset: &str) -> Result<()> {
    let Some(found) = presets::get(preset) else {
        let names: Vec<&str> = presets::all().iter().map(|preset| preset.id).collect();
        bail!(
            "there is no preset {preset}; there are {}",
            names.join(", ")
        );
    };
    print!("{}", found.yaml);
    Ok(())
}
