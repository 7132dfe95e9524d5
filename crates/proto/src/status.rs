//! Refusals on the wire: a status with `google.rpc.ErrorInfo` and the details that fit (AIP-193).
//!
//! The details stay below 4 KiB encoded: beyond about 8 KiB clients lose the status and see an error
//! of the transport instead, and that would hit exactly the worst requests.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
pub use tonic_types::pb::Status as RpcStatus;
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt as _};

use crate::errors::v1::Reason;
use crate::validate::Violations;

/// The domain of every reason.
pub const DOMAIN: &str = "clientele.dev";

/// The encoded details have at most so many bytes.
const DETAILS_BYTES_MAX: usize = 4096;

/// Violations of a kind in one status; `omitted` counts the rest.
const VIOLATIONS_MAX: usize = 20;

/// Pairs of metadata, and the longest value: the names of resources fit.
const METADATA_PAIRS_MAX: usize = 10;
const METADATA_CHARS_MAX: usize = 256;

/// Characters of one path or description.
const TEXT_CHARS_MAX: usize = 300;

/// Characters of the message, and its bytes as they are sent: most characters that are not ASCII take
/// nine or twelve.
const MESSAGE_CHARS_MAX: usize = 400;
const MESSAGE_BYTES_MAX: usize = 1536;

/// When to come back after an UNAVAILABLE that does not say it.
const RETRY_DEFAULT: Duration = Duration::from_millis(200);

/// A refusal in the making. The status code is the reason's own.
///
/// ```
/// use proto::errors::v1::Reason;
/// use proto::status::{self, Refusal};
///
/// let status = Refusal::new(Reason::EtagMismatch, "the contact has changed since it was read")
///     .metadata("resource", "workspaces/default/contacts/ada")
///     .into_status();
/// assert_eq!(status.code(), tonic::Code::Aborted);
/// assert_eq!(status::reason(&status), Some(Reason::EtagMismatch));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a refusal does nothing until it is turned into a status"]
pub struct Refusal {
    reason: Reason,
    message: String,
    metadata: BTreeMap<&'static str, String>,
    fields: Vec<FieldViolation>,
    preconditions: Vec<PreconditionViolation>,
    omitted: usize,
    resource: Option<(String, String)>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
}

impl Refusal {
    /// A refusal for `reason`. The message is for developers, one sentence without a full stop; what
    /// a program should read goes to the metadata.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            omitted: 0,
            resource: None,
            retry_after: None,
            request_id: None,
        }
    }

    /// A value that the message speaks of, for programs. At most ten pairs; long values are cut.
    pub fn metadata(mut self, key: &'static str, value: impl Into<String>) -> Self {
        if self.metadata.len() < METADATA_PAIRS_MAX {
            self.metadata
                .insert(key, cut(value.into(), METADATA_CHARS_MAX));
        }
        self
    }

    /// A field of the request that is wrong, with what it must be (`BadRequest`).
    pub fn field_violation(
        mut self,
        path: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        if self.fields.len() < VIOLATIONS_MAX {
            let path = cut(path.into(), TEXT_CHARS_MAX);
            self.fields.push(FieldViolation::new(
                path,
                cut(description.into(), TEXT_CHARS_MAX),
            ));
        } else {
            self.omitted += 1;
        }
        self
    }

    /// A condition that is not met (`PreconditionFailure`). The kind is `GUARD`, `ENTITLEMENT`,
    /// `TRANSITION` or `STATE`; the subject is a resource's name or a guard's id.
    pub fn precondition(
        mut self,
        kind: &'static str,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        if self.preconditions.len() < VIOLATIONS_MAX {
            self.preconditions.push(PreconditionViolation::new(
                kind,
                cut(subject.into(), TEXT_CHARS_MAX),
                cut(description.into(), TEXT_CHARS_MAX),
            ));
        } else {
            self.omitted += 1;
        }
        self
    }

    /// The resource that it is about (`ResourceInfo`), by type (`clientele.dev/Contact`) and name.
    pub fn resource(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.resource = Some((kind.to_owned(), cut(name.into(), TEXT_CHARS_MAX)));
        self
    }

    /// When to come back (`RetryInfo`). UNAVAILABLE always says it: 200 ms where this is not called.
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// The trace that operators find the call by (`RequestInfo`).
    pub fn trace(mut self, trace_id: impl Into<String>) -> Self {
        self.request_id = Some(cut(trace_id.into(), TEXT_CHARS_MAX));
        self
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status. Violations that don't fit are left out from the end and counted in the metadata
    /// as `omitted`.
    pub fn into_status(mut self) -> Status {
        self.message = cut_encoded(cut(self.message, MESSAGE_CHARS_MAX), MESSAGE_BYTES_MAX);
        loop {
            let status = self.encoded();
            if status.details().len() <= DETAILS_BYTES_MAX || !self.shrink() {
                return status;
            }
        }
    }

    /// Leaves out one violation, or where there is none one pair of metadata; false where nothing
    /// is left to leave out.
    fn shrink(&mut self) -> bool {
        if self.fields.pop().is_some() || self.preconditions.pop().is_some() {
            self.omitted += 1;
            return true;
        }
        self.metadata.pop_last().is_some()
    }

    fn encoded(&self) -> Status {
        let code = self.reason.code();
        let mut metadata: HashMap<String, String> = self
            .metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        if self.omitted > 0 {
            metadata.insert("omitted".to_owned(), self.omitted.to_string());
        }
        let mut details = ErrorDetails::with_error_info(self.reason.wire_name(), DOMAIN, metadata);
        if !self.fields.is_empty() {
            details.set_bad_request(self.fields.clone());
        }
        if !self.preconditions.is_empty() {
            details.set_precondition_failure(self.preconditions.clone());
        }
        if let Some((kind, name)) = &self.resource {
            details.set_resource_info(kind.as_str(), name.as_str(), "", "");
        }
        let unavailable = (code == Code::Unavailable).then_some(RETRY_DEFAULT);
        if let Some(span) = self.retry_after.or(unavailable) {
            details.set_retry_info(Some(span));
        }
        if let Some(trace_id) = &self.request_id {
            details.set_request_info(trace_id.as_str(), "");
        }
        Status::with_error_details(code, self.message.clone(), details)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.into_status()
    }
}

impl From<Violations> for Refusal {
    /// FIELD_INVALID with every violation that is kept; `violations` counts them all.
    fn from(violations: Violations) -> Self {
        let total = violations.kept().len() + violations.omitted();
        let message = match violations.kept() {
            [] => "the request is invalid".to_owned(),
            [only] => format!("{} {}", only.field, only.description),
            [first, ..] => {
                format!(
                    "{} {} (and {} more)",
                    first.field,
                    first.description,
                    total - 1
                )
            }
        };
        let mut refusal =
            Self::new(Reason::FieldInvalid, message).metadata("violations", total.to_string());
        for violation in violations.kept() {
            refusal =
                refusal.field_violation(violation.field.as_str(), violation.description.as_ref());
        }
        refusal.omitted += violations.omitted();
        refusal
    }
}

impl From<Violations> for Status {
    fn from(violations: Violations) -> Self {
        Refusal::from(violations).into_status()
    }
}

/// The refusal for a name that stands for nothing, or for nothing that the caller may know of: the
/// two are alike, so every service and the guard before it make it here.
pub fn not_found(name: &str) -> Status {
    let refusal = Refusal::new(Reason::ResourceNotFound, format!("{name} does not exist"))
        .metadata("resource", name);
    match crate::resources::resource_type(name) {
        Some(kind) => refusal.resource(kind, name),
        None => refusal,
    }
    .into_status()
}

/// A fault or an expired deadline: no reason, only the trace that operators find the call by.
pub fn without_reason(code: Code, message: &'static str, trace_id: &str) -> Status {
    if trace_id.is_empty() {
        return Status::new(code, message);
    }
    Status::with_error_details(code, message, ErrorDetails::with_request_info(trace_id, ""))
}

/// The reason that a status carries, where it is one of ours.
pub fn reason(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then(|| Reason::from_wire_name(&info.reason))?
}

/// The metadata of the reason, empty where the status carries none of ours.
pub fn metadata(status: &Status) -> BTreeMap<String, String> {
    match status.get_details_error_info() {
        Some(info) if info.domain == DOMAIN => info.metadata.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// The status as a value in a message, for the items of a batch: code, message and details.
pub fn to_wire(status: &Status) -> RpcStatus {
    let encoded = RpcStatus::decode(status.details()).unwrap_or_default();
    RpcStatus {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: encoded.details,
    }
}

/// When the server asks to come back.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// `text`, or as much of it as there is room for.
fn cut(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
    }
    text
}

/// `text`, or as much of it as there is room for once it is percent-encoded for `grpc-message`.
fn cut_encoded(mut text: String, bytes_max: usize) -> String {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, char)| {
        let plain = char.is_ascii_graphic() && !"\"#%<>`?{}".contains(*char);
        bytes += if plain { 1 } else { 3 * char.len_utf8() };
        bytes > bytes_max
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
