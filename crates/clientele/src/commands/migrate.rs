//! `migrate`: brings a service's database to the schema of this version.

use anyhow::Result;
use store::{OpenError, Options, Store};

use super::running;
use crate::cli::{Migrate, Service};

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn run(args: &Migrate) -> Result<()> {
    open(args)?;
    println!("{} is at the schema of this version", args.service.name());
    Ok(())
}

/// Opens a service's database, migrated.
pub fn open(args: &Migrate) -> Result<Store> {
    let options = options(args.service, &args.database_url).migrating();
    Store::open(options).map_err(running::wrong_database("--database-url"))
}

/// Opens a service's database as it is: what another service's URL leads to is refused, not migrated.
pub fn open_as_it_is(service: Service, database_url: &str) -> Result<Store> {
    let options = || options(service, database_url);
    let pending = store::pending(&options()).map_err(running::wrong_database("--database-url"))?;
    if !pending.is_empty() {
        return Err(running::wrong_database("--database-url")(
            OpenError::SchemaOld { pending },
        ));
    }
    Store::open(options()).map_err(running::wrong_database("--database-url"))
}

fn options(service: Service, database_url: &str) -> Options {
    let migrations = match service {
        Service::Contacts => &contacts::MIGRATIONS,
        Service::Pipeline => &pipeline::MIGRATIONS,
        Service::Billing => &billing::MIGRATIONS,
    };
    Options::new(service.name(), database_url, migrations)
}
