//! The refusals that the plumbing itself gives, alike for every service.

use std::sync::LazyLock;
use std::time::Duration;

use proto::errors::v1::Reason;
use proto::status::Refusal;
use tonic::Status;

use crate::load::Class;

/// When a client should come back that was only unlucky with its server.
const SOON: Duration = Duration::from_millis(100);

/// From so many pauses one is taken at random.
const PAUSES: u32 = 64;

pub(crate) fn shutting_down(service: &str) -> Status {
    Refusal::new(
        Reason::ShuttingDown,
        "this server is shutting down, another takes the call",
    )
    .metadata("service", service)
    .retry_after(SOON)
    .into_status()
}

/// `class` is the one that is being refused.
pub(crate) fn overloaded(class: Class) -> Status {
    /// Made once: when most calls are refused, a refusal must cost as little as it can.
    static MADE: LazyLock<[Vec<Status>; Class::BY_RANK.len()]> = LazyLock::new(|| {
        let mut made = [const { Vec::new() }; Class::BY_RANK.len()];
        for class in Class::BY_RANK {
            let pauses = (0..PAUSES).map(|step| SOON + SOON * 3 * step / (PAUSES - 1));
            made[class as usize] = pauses.map(|pause| too_many(class, pause)).collect();
        }
        made
    });
    // At random, so that those who are refused together do not come back together.
    let made = &MADE[class as usize];
    made[rand::random_range(0..made.len())].clone()
}

fn too_many(class: Class, pause: Duration) -> Status {
    Refusal::new(Reason::Overloaded, "too many calls are waiting")
        .metadata("criticality", class.name())
        .retry_after(pause)
        .into_status()
}

pub(crate) fn stream_rotated() -> Status {
    let message = "streams are ended from time to time, open it again with the last resume token";
    Refusal::new(Reason::StreamRotated, message)
        .retry_after(SOON)
        .into_status()
}

pub(crate) fn message_too_large(found_bytes: u64, limit_bytes: u64) -> Status {
    let message = format!("the message has {found_bytes} bytes, at most {limit_bytes} are read");
    Refusal::new(Reason::MessageTooLarge, message)
        .metadata("limit_bytes", limit_bytes.to_string())
        .into_status()
}

/// A message that can't be read as its proto says; the empty field is the message itself.
pub(crate) fn message_malformed(field: &str, problem: &str) -> Status {
    let what = if field.is_empty() {
        "the message"
    } else {
        field
    };
    let description = format!("can't be read: {problem}");
    Refusal::new(Reason::FieldInvalid, format!("{what} {description}"))
        .metadata("violations", "1")
        .field_violation(field, description)
        .into_status()
}

pub(crate) fn upstream_unavailable(upstream: &str) -> Status {
    let message = format!("{upstream}, which this call needs, can't be reached now");
    Refusal::new(Reason::UpstreamUnavailable, message)
        .metadata("upstream", upstream)
        .into_status()
}

pub(crate) fn consistency_not_reached(service: &str) -> Status {
    let message = format!("what the token of {service} stands for has not arrived here yet");
    Refusal::new(Reason::ConsistencyNotReached, message)
        .metadata("service", service)
        .into_status()
}

pub(crate) fn permission_missing(permission: &str) -> Status {
    Refusal::new(
        Reason::PermissionMissing,
        format!("this needs the permission {permission}"),
    )
    .metadata("permission", permission)
    .into_status()
}
