//! How a client command reaches the suite, and how it tells of a refusal.

use std::time::Duration;

use anyhow::{Context, Result};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::exit::WrongSetting;

/// Connects to the suite at `address`.
pub async fn channel(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| WrongSetting::new("--address", &error))?
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
        .tcp_nodelay(true);
    endpoint.connect().await.with_context(|| {
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
    format!("    {what}: {description}")
}

/// Turns a refusal into the error that the command ends with.
pub fn refused(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}", explain(status))
}
