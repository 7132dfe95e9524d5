//! NATS: the connection, the stream, and publishing with an acknowledgement.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectOptions, Event as ClientEvent};
use tokio::sync::watch;

use crate::event::Event;
use crate::settings::{Setting, SettingError, Settings};
use crate::stream;

/// How long an acknowledgement is waited for.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to connect.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// A connection to the bus. Clones share it, and all relays of a process may.
///
/// It connects in the background, again and again, so that a service starts and runs without the bus.
#[derive(Clone)]
pub struct Bus {
    pub(crate) settings: Settings,
    client: Client,
    context: jetstream::Context,
    /// Counts the connections that were lost.
    lost: watch::Receiver<u64>,
}

/// Why an event was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// For what it is: another one would have been taken.
    Event(String),
    /// No event would be taken now.
    Bus(String),
}

impl Bus {
    /// Opens the connection. Errors: files that can't be read or don't hold what they should; a server
    /// that is not there is none.
    pub async fn connect(settings: Settings) -> Result<Self, SettingError> {
        let (losses, lost) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .name("clientele")
            .custom_inbox_prefix(&settings.inbox)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(ACKNOWLEDGED)
            .reconnect_delay_callback(|attempts| {
                let doubled = 1 << attempts.min(10);
                Duration::from_millis(25 * doubled).min(RECONNECT_MAX)
            })
            .event_callback(move |event| {
                if matches!(event, ClientEvent::Disconnected) {
                    losses.send_modify(|count| *count += 1);
                }
                async move { tell(&event) }
            });
        if let Some(file) = &settings.credentials_file {
            let read = tokio::fs::read_to_string(file).await;
            let text = read.map_err(|error| {
                SettingError::new(Setting::Credentials, format!("{}: {error}", file.display()))
            })?;
            options = options.credentials(&text).map_err(|_| {
                let problem = format!(
                    "{}: must hold a user's JWT and the seed of its key, as `nsc generate creds` writes them",
                    file.display()
                );
                SettingError::new(Setting::Credentials, problem)
            })?;
        }
        if let Some(file) = &settings.authority_file {
            readable(file, Setting::Authority).await?;
            options = options.add_root_certificates(file.clone());
        }
        if let Some((certificate, key)) = &settings.certificate_files {
            readable(certificate, Setting::Certificate).await?;
            readable(key, Setting::Key).await?;
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        let connected = options.connect(settings.server.clone()).await;
        let client = connected.map_err(|error| SettingError::new(Setting::Url, error))?;
        let context = jetstream::ContextBuilder::new()
            .timeout(ACKNOWLEDGED)
            .build(client.clone());
        Ok(Self {
            settings,
            client,
            context,
            lost,
        })
    }

    /// Makes sure that there is a stream that takes the events of `service`, and makes it where there
    /// is none.
    pub(crate) async fn prepare(&self, service: &str) -> Result<(), String> {
        self.connected()?;
        let name = &self.settings.stream;
        let found = match self.context.get_stream(name).await {
            Ok(found) => found.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    self.make().await?
                }
                _ => return Err(format!("the stream {name} can't be asked for: {error}")),
            },
        };
        stream::misfit(&found, &self.settings, service).map_or(Ok(()), Err)
    }

    async fn make(&self) -> Result<jetstream::stream::Config, String> {
        let config = stream::made(&self.settings);
        let name = config.name.clone();
        match self.context.create_stream(config).await {
            Ok(made) => {
                let config = made.cached_info().config.clone();
                tracing::info!(
                    stream = name,
                    subjects = ?config.subjects,
                    kept_days = config.max_age.as_secs() / (24 * 3600),
                    duplicates_seconds = config.duplicate_window.as_secs(),
                    replicas = config.num_replicas,
                    "the stream for events was made, there was none"
                );
                Ok(config)
            }
            // Another relay was faster, with another configuration.
            Err(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NAME_EXIST =>
                {
                    let found = self.context.get_stream(&name).await;
                    let found = found.map_err(|error| format!("the stream {name}: {error}"))?;
                    Ok(found.cached_info().config.clone())
                }
                _ => Err(format!(
                    "there is no stream {name} and it can't be made: {error}"
                )),
            },
        }
    }

    /// Publishes an event; answers when the stream has it, now or from an earlier attempt.
    pub(crate) async fn publish(&self, event: Event) -> Result<(), Refused> {
        let mut lost = self.lost.clone();
        lost.mark_unchanged();
        self.connected().map_err(Refused::Bus)?;
        let message = PublishMessage::build()
            .payload(event.data)
            .headers(event.headers)
            .expected_stream(&self.settings.stream);
        let acknowledged = async {
            let sent = self.context.send_publish(event.subject, message).await?;
            sent.await
        };
        tokio::select! {
            acknowledged = acknowledged => acknowledged.map(drop).map_err(|error| refused(&error)),
            // An acknowledgement does not find its way to another connection.
            Ok(()) = lost.changed() => Err(Refused::Bus("the connection to NATS was lost".to_owned())),
        }
    }

    /// What is sent while there is no connection would lie in a queue, to be sent at some later time.
    fn connected(&self) -> Result<(), String> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err("NATS is not connected".to_owned()),
        }
    }
}

/// Refuses a file that can't be read at the start. What is in it is looked at with each connection,
/// where files may have been replaced.
async fn readable(file: &Path, setting: Setting) -> Result<(), SettingError> {
    let read = tokio::fs::read(file).await.map(drop);
    read.map_err(|error| SettingError::new(setting, format!("{}: {error}", file.display())))
}

/// Whether an error is the event's own.
fn refused(error: &PublishError) -> Refused {
    let code = error
        .source()
        .and_then(|source| source.downcast_ref::<jetstream::Error>())
        .map(jetstream::Error::error_code);
    let own = error.kind() == PublishErrorKind::MaxPayloadExceeded
        || matches!(
            code,
            Some(
                ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
                    | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM
            )
        );
    if own {
        Refused::Event(error.to_string())
    } else {
        Refused::Bus(error.to_string())
    }
}

/// Connections that come and go are the operator's to know.
fn tell(event: &ClientEvent) {
    match event {
        ClientEvent::Connected => tracing::info!("connected to NATS"),
        ClientEvent::Disconnected => tracing::warn!("the connection to NATS was lost"),
        ClientEvent::ServerError(error) => tracing::warn!(%error, "NATS answered with an error"),
        ClientEvent::ClientError(error) => tracing::debug!(%error, "NATS can't be reached"),
        other => tracing::debug!(event = %other, "NATS"),
    }
}
