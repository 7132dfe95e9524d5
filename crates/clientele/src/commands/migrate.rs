//! `migrate`: brings a service's database to the schema of this version.

use anyhow::Result;
use store::{Options, Store};

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
    let migrations = match args.service {
        Service::Contacts => &contacts::MIGRATIONS,
        Service::Pipeline => &pipeline::MIGRATIONS,
        Service::Billing => &billing::MIGRATIONS,
    };
    let options = Options::new(args.service.name(), &args.database_url, migrations).migrating();
    Store::open(options).map_err(running::wrong_database("--database-url"))
}
