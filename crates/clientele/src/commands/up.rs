//! `up`: all three services in this process, on one port. They call each other over gRPC there
//! too, so that there is one way of doing things.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use billing::Billing;
use contacts::Contacts;
use pipeline::Pipeline;
use serve::tls::ClientTls;
use types::{Clock, Ids};

use super::{bus, identity, running, tls};
use crate::cli::Up;
use crate::exit::WrongSetting;
use crate::settings::Origins;

/// Runs the command, whose settings are those of `origins`.
pub async fn run(args: Up, origins: &Origins) -> Result<()> {
    let _telemetry = running::telemetry(&args.server, "clientele").await?;
    let bus = bus::connect(&args.bus, "clientele").await?;
    let config = running::config(args.listen, &args.server, &args.identity);
    let (protection, credential) =
        identity::within_process(&args.identity, &args.encryption).await?;
    let own = protection.tls.clone().map(ClientTls::of_own_server);
    let own = own.transpose()?;
    let server = running::bind(config, protection).await?;
    std::fs::create_dir_all(&args.data_dir).map_err(|error| {
        WrongSetting::new(
            "--data-dir",
            &format!("{}: {error}", args.data_dir.display()),
        )
    })?;
    let url = |given: Option<String>, service: &str| match given {
        Some(url) => running::database_url(origins, &format!("--{service}-database-url"), url),
        None => sqlite_url(&args.data_dir, service).into(),
    };
    let here = tls::own_uri(server.address(), server.is_encrypted());
    let (clock, ids) = (Clock::system(), Ids::system());
    let contacts = contacts::Config {
        database_url: url(args.contacts_database_url, "contacts"),
        migrate: true,
        pool_max: args.server.pool_max,
    };
    let contacts = Contacts::open(contacts, clock.clone(), ids.clone()).await;
    let contacts = contacts.map_err(running::wrong_database("--contacts-database-url"))?;
    let pipeline = pipeline::Config {
        migrate: true,
        pool_max: args.server.pool_max,
        contacts_uri: here.clone(),
        credential: credential.clone(),
        tls: own.clone(),
        ..pipeline::Config::new(url(args.pipeline_database_url, "pipeline"))
    };
    let pipeline = Pipeline::open(pipeline, clock.clone(), ids.clone()).await;
    let pipeline = pipeline.map_err(running::wrong_database("--pipeline-database-url"))?;
    let billing = billing::Config {
        database_url: url(args.billing_database_url, "billing"),
        migrate: true,
        pool_max: args.server.pool_max,
        pipeline_uri: here,
        credential,
        tls: own,
    };
    let billing = Billing::open(billing, clock, ids)
        .await
        .map_err(running::wrong_database("--billing-database-url"))?;
    let services: [(&str, Arc<dyn running::Running>); 3] = [
        ("contacts", Arc::new(contacts)),
        ("pipeline", Arc::new(pipeline)),
        ("billing", Arc::new(billing)),
    ];
    running::until_told(server, &services, bus).await
}

/// The SQLite file of a service in the data folder.
fn sqlite_url(folder: &Path, service: &str) -> String {
    format!("sqlite:{}", folder.join(format!("{service}.db")).display())
}
