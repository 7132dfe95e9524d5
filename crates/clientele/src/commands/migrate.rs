//! `migrate`: brings a service's database to the schema of this version.

use anyhow::Result;
use store::{OpenError, Options, Store};

use super::running;
use crate::cli::{Database, Migrate, Service};
use crate::exit::WrongSetting;

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn run(args: &Migrate) -> Result<()> {
    let service = args.database.service.name();
    open(&args.database)?;
    println!("{service} is at the schema of this version");
    if let Some(role) = &args.grant_to {
        store::grant(&options(&args.database), role).map_err(|error| match error {
            OpenError::Role { .. } => WrongSetting::new("--grant-to", &error).into(),
            other => anyhow::Error::new(other),
        })?;
        println!("{role} may serve {service} from it");
    }
    Ok(())
}

/// Opens a service's database, migrated.
pub fn open(database: &Database) -> Result<Store> {
    Store::open(options(database).migrating()).map_err(running::wrong_database("--database-url"))
}

/// Opens a service's database as it is: what another service's URL leads to is refused, not migrated.
pub fn open_as_it_is(service: Service, database_url: &str) -> Result<Store> {
    let options = || options_of(service, database_url);
    let pending = store::pending(&options()).map_err(running::wrong_database("--database-url"))?;
    if !pending.is_empty() {
        return Err(running::wrong_database("--database-url")(
            OpenError::SchemaOld { pending },
        ));
    }
    Store::open(options()).map_err(running::wrong_database("--database-url"))
}

fn options(database: &Database) -> Options {
    options_of(database.service, &database.database_url)
}

fn options_of(service: Service, database_url: &str) -> Options {
    let migrations = match service {
        Service::Contacts => &contacts::MIGRATIONS,
        Service::Pipeline => &pipeline::MIGRATIONS,
        Service::Billing => &billing::MIGRATIONS,
    };
    Options::new(service.name(), database_url, migrations)
}
