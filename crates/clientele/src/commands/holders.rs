//! `holders list` and `holders forget`: the databases that hold grants, as pipeline's knows them.

use std::time::Duration;

use anyhow::{Result, bail};
use pipeline::holders::{self, Holder};
use proto::convert::timestamp_to_wire;
use store::Store;
use types::{Clock, Deadline, Micros};

use super::migrate;
use crate::cli::{Holders, Service};
use crate::exit::WrongSetting;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What forgetting means, for whoever has not said yes to it.
const MEANING: &str = "forgetting a holder is for a billing database that is gone for good. Nothing waits for it \
any more: demotions, deletions and policies complete although it has not given back its grants. If it still \
runs, it may go on to accept invoices for people who are no clients. It can attach again only after `clientele \
epoch bump billing`. Give --yes if that is what you want";

/// Runs the command.
pub async fn run(command: Holders) -> Result<()> {
    match command {
        Holders::List { database_url, .. } => list(&open(&database_url)?).await,
        Holders::Forget { yes: false, .. } => Err(WrongSetting::new("--yes", &MEANING).into()),
        Holders::Forget {
            holder,
            database_url,
            ..
        } => forget(&open(&database_url)?, &holder).await,
    }
}

fn open(database_url: &str) -> Result<Store> {
    migrate::open_as_it_is(Service::Pipeline, database_url)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn list(store: &Store) -> Result<()> {
    let known = holders::list(store, Deadline::after(PATIENCE)).await?;
    println!(
        "pipeline is in epoch {}; moves that wait: {}; holders: {}",
        known.epoch,
        known.pending_count,
        known.holders.len()
    );
    for holder in &known.holders {
        println!("{}", described(holder, known.epoch));
    }
    Ok(())
}

fn described(holder: &Holder, epoch: i64) -> String {
    let time = |at: Micros| timestamp_to_wire(at).to_string();
    let standing = match holder.forget_time {
        Some(at) => format!("forgotten at {}", time(at)),
        None if holder.attachment.attached_epoch == epoch => "attached".to_owned(),
        None => "NOT ATTACHED in the present epoch: nothing is taken away from anybody until it is"
            .to_owned(),
    };
    format!(
        "{}: {standing}\n  its epoch {}, attached in epoch {} at {}\n  grants held: {}; recalls that wait for it: \
         {}; fences that wait for it: {}",
        holder.id,
        holder.attachment.epoch,
        holder.attachment.attached_epoch,
        time(holder.attach_time),
        holder.grant_count,
        holder.recall_count,
        holder.fence_count
    )
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn forget(store: &Store, holder: &str) -> Result<()> {
    let now = Clock::system().now();
    if !holders::forget(store, holder, now, Deadline::after(PATIENCE)).await? {
        bail!("there is no holder {holder}, or it is forgotten; see `clientele holders list`");
    }
    println!(
        "{holder} is forgotten: a running pipeline completes within seconds what waited for nobody else"
    );
    Ok(())
}
