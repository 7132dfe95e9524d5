//! How a client command reaches the suite, and how it tells of a refusal.

use std::time::Duration;

use anyhow::{Context, Result};
use serve::tls::Connector;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::tls;
use crate::cli;
use crate::exit::WrongSetting;

/// A channel to the suite, on which every call carries the caller's token.
pub type Suite = InterceptedService<Channel, Bearer>;

/// The caller's token, where there is one.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn of(settings: &cli::Bearer) -> Result<Self> {
        let header = settings.token.as_ref().map(|token| {
            let mut value = MetadataValue::try_from(format!("Bearer {}", token.trim()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        let header: Option<Result<_>> = header;
        let wrong = |_| WrongSetting::new("--token", &"has characters that no token has");
        Ok(Self(header.transpose().map_err(wrong)?))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// Connects to the suite at `address`.
pub async fn suite(address: &str, bearer: &cli::Bearer, trust: &cli::Trust) -> Result<Suite> {
    let bearer = Bearer::of(bearer)?;
    let channel = channel(address, trust).await?;
    Ok(InterceptedService::new(channel, bearer))
}

async fn channel(address: &str, trust: &cli::Trust) -> Result<Channel> {
    let wrong = |error: &dyn std::fmt::Display| WrongSetting::new("--address", error);
    if !address.contains("://") {
        return Err(wrong(&"must begin with http:// or https://").into());
    }
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| wrong(&error))?
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
        .tcp_nodelay(true);
    let connected = if tls::is_secure(address) {
        let tls = tls::of_command(trust.ca.as_deref()).await?;
        let connector = Connector::new(endpoint.uri(), tls).map_err(|error| wrong(&error))?;
        endpoint.connect_with_connector(connector).await
    } else {
        tls::refuse_authority(trust.ca.as_deref(), address)?;
        endpoint.connect().await
    };
    connected.with_context(|| {
        format!("no suite answers at {address}: start one with `cargo run --release -- up`")
    })
}

/// A refusal in words: the reason, the sentence, and what was wrong in particular.
pub fn explain(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map_or_else(
        || format!("{:?}", status.code()),
        |info| info.reason.clone(),
    );
    let mut lines = vec![format!("{reason}: {}", status.message())];
    let fields = details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations);
    lines.extend(fields.map(|violation| line(&violation.field, &violation.description)));
    let guards = details
        .precondition_failure()
        .into_iter()
        .flat_map(|failure| &failure.violations);
    lines.extend(guards.map(|violation| line(&violation.subject, &violation.description)));
    lines.join("\n")
}

fn line(what: &str, description: &str) -> String {
    format!("  {what}: {description}")
}

/// Turns a refusal into the error that the command ends with.
pub fn refused(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}", explain(status))
}
