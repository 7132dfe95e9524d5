//! The bus as the settings say, and the relay of each service to it.

use anyhow::Result;
use relay::{Format, Relay, Setting, SettingError, Settings};
use store::Store;
use types::{Clock, Ids};

use crate::cli::{Bus, EventsFormat};
use crate::exit::WrongSetting;

/// The connection to the bus, if the settings turn it on, with answers on an inbox of `name` where no
/// other is set. The server need not be there yet.
pub async fn connect(args: &Bus, name: &str) -> Result<Option<relay::Bus>> {
    let Some(url) = &args.nats_url else {
        return Ok(None);
    };
    let mut settings = Settings::new(url).map_err(|error| wrong(&error))?;
    let own = format!("_INBOX_{name}");
    settings = settings
        .with_inbox(args.nats_inbox.as_deref().unwrap_or(&own))
        .map_err(|error| wrong(&error))?;
    settings = settings
        .with_prefix(&args.events_prefix)
        .map_err(|error| wrong(&error))?;
    settings = settings
        .with_stream(&args.events_stream)
        .map_err(|error| wrong(&error))?;
    settings = settings
        .with_replicas(args.events_replicas)
        .map_err(|error| wrong(&error))?;
    settings
        .credentials_file
        .clone_from(&args.nats_credentials_file);
    settings.authority_file.clone_from(&args.nats_ca);
    settings.certificate_files = args.nats_certificate.clone().zip(args.nats_key.clone());
    settings.format = match args.events_format {
        EventsFormat::Protobuf => Format::Protobuf,
        EventsFormat::Json => Format::Json,
    };
    Ok(Some(
        relay::Bus::connect(settings)
            .await
            .map_err(|error| wrong(&error))?,
    ))
}

/// Publishes what happens in a service until `stop` is done, on one process at a time.
pub async fn relay(
    store: Store,
    service: types::Service,
    bus: relay::Bus,
    stop: impl Future<Output = ()>,
) {
    let relay = Relay::new(store, service, bus, Clock::system());
    relay.run(&Ids::system().next(), stop).await;
}

fn wrong(error: &SettingError) -> WrongSetting {
    let setting = match error.setting {
        Setting::Url => "--nats-url",
        Setting::Credentials => "--nats-credentials-file",
        Setting::Authority => "--nats-ca",
        Setting::Certificate => "--nats-certificate",
        Setting::Key => "--nats-key",
        Setting::Inbox => "--nats-inbox",
        Setting::Prefix => "--events-prefix",
        Setting::Stream => "--events-stream",
        Setting::Replicas => "--events-replicas",
    };
    WrongSetting::new(setting, error)
}
