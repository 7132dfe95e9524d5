//! `epoch bump`: begins a new epoch after a database was restored from a backup.

use std::time::Duration;

use anyhow::Result;

use types::Deadline;

use super::migrate;
use crate::cli::Epoch;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn run(command: Epoch) -> Result<()> {
    let Epoch::Bump(args) = command;
    let store = migrate::open(&args)?;
    let epoch = store.bump_epoch(Deadline::after(PATIENCE)).await?;
    println!(
        "{} is in epoch {}: grants and tokens of earlier epochs are void; restart the service",
        args.service.name(),
        epoch.number
    );
    Ok(())
}
