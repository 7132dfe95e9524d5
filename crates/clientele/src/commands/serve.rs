//! `serve`: one service in this process.

use std::sync::Arc;

use anyhow::Result;
use billing::Billing;
use contacts::Contacts;
use pipeline::Pipeline;
use serve::peer::PeerError;
use types::{Clock, Ids};

use super::running::{self, Running};
use super::{bus, identity, tls};
use crate::cli::{Serve, Service};
use crate::exit::WrongSetting;
use crate::settings::Origins;

/// Runs the command, whose settings are those of `origins`.
pub async fn run(args: Serve, origins: &Origins) -> Result<()> {
    let name = format!("clientele-{}", args.service.name());
    let _telemetry = running::telemetry(&args.server, &name).await?;
    let bus = bus::connect(&args.bus, args.service.name()).await?;
    let config = running::config(args.listen, &args.server, &args.identity);
    let protection = identity::protection(&args.identity, &args.encryption, None).await?;
    let uri = match args.service {
        Service::Contacts => None,
        Service::Pipeline => args.contacts_uri.as_deref(),
        Service::Billing => args.pipeline_uri.as_deref(),
    };
    let (tls, shows) = tls::of_peers(&args.peers, &args.encryption, uri).await?;
    let credential = identity::of_service(
        args.service,
        &args.identity,
        args.service_token_file.as_deref(),
        shows,
    )?;
    let server = running::bind(config, protection).await?;
    let (clock, ids) = (Clock::system(), Ids::system());
    let database_url = running::database_url(origins, "--database-url", args.database_url);
    let opened: Arc<dyn Running> = match args.service {
        Service::Contacts => {
            let config = contacts::Config {
                database_url,
                migrate: args.migrate,
                pool_max: args.server.pool_max,
            };
            Arc::new(
                Contacts::open(config, clock, ids)
                    .await
                    .map_err(running::wrong_database("--database-url"))?,
            )
        }
        Service::Pipeline => {
            let config = pipeline::Config {
                migrate: args.migrate,
                pool_max: args.server.pool_max,
                contacts_uri: needed("--contacts-uri", args.contacts_uri)?,
                credential,
                tls,
                ..pipeline::Config::new(database_url)
            };
            Arc::new(
                Pipeline::open(config, clock, ids)
                    .await
                    .map_err(wrong("--contacts-uri"))?,
            )
        }
        Service::Billing => {
            let config = billing::Config {
                database_url,
                migrate: args.migrate,
                pool_max: args.server.pool_max,
                pipeline_uri: needed("--pipeline-uri", args.pipeline_uri)?,
                credential,
                tls,
            };
            Arc::new(
                Billing::open(config, clock, ids)
                    .await
                    .map_err(wrong("--pipeline-uri"))?,
            )
        }
    };
    running::until_told(server, &[(args.service.name(), opened)], bus).await
}

fn needed(setting: &'static str, uri: Option<String>) -> Result<String> {
    Ok(uri.ok_or_else(|| WrongSetting::new(setting, &"is needed by this service"))?)
}

/// Names the setting that keeps a service from opening: the address of its peer, `peer`, or the
/// database.
fn wrong<E>(peer: &'static str) -> impl FnOnce(E) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| {
        let error = running::wrong_database("--database-url")(error);
        let refused = error.chain().find_map(|cause| cause.downcast_ref());
        match refused.map(|refused: &PeerError| WrongSetting::new(peer, refused)) {
            Some(wrong) => wrong.into(),
            None => error,
        }
    }
}
