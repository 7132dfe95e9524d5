//! `events`: what became of events that were not published, and the end of a relay.

use std::time::Duration;

use anyhow::{Result, bail};
use proto::convert::timestamp_to_wire;
use relay::upkeep::{self, Stopped};
use store::Store;
use types::Deadline;

use super::migrate;
use crate::cli::{Database, Events};

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn run(command: Events) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    match command {
        Events::Parked(database) => {
            for parked in upkeep::parked(&open(&database)?, deadline).await? {
                let since = timestamp_to_wire(parked.park_time);
                let why = match parked.reason {
                    Some(reason) => format!("refused {} times: {reason}", parked.attempts),
                    None => "waits behind an earlier one".to_owned(),
                };
                println!(
                    "{}  {}  {}  since {since}  {why}",
                    parked.event_id, parked.kind, parked.resource
                );
            }
        }
        Events::Retry(database) => {
            let count = upkeep::retry(&open(&database)?, deadline).await?;
            println!("{count} refused events are tried again by the running service");
        }
        Events::Drop { event, database } => {
            if !upkeep::drop_parked(&open(&database)?, &event, deadline).await? {
                bail!("no event {event} is parked there");
            }
            println!("{event} is forgotten; what waited behind it goes on");
        }
        Events::Stop(database) => {
            let service = database.service.name();
            match upkeep::stop(&open(&database)?, deadline).await? {
                Stopped::Off { parked } => println!(
                    "the relay of {service} is off: its change log is no longer kept for it; {parked} \
                     parked events are forgotten"
                ),
                Stopped::Absent => println!("{service} has no relay"),
                Stopped::Running => bail!(
                    "a relay of {service} is running: first restart the service without --nats-url"
                ),
            }
        }
    }
    Ok(())
}

fn open(database: &Database) -> Result<Store> {
    migrate::open_as_it_is(database.service, &database.database_url)
}
