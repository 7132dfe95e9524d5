//! What the layers tell of calls, past the events of `events.rs`, which would cost each call more.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use opentelemetry::KeyValue;
use prost::Message as _;
use proto::errors::v1::Reason;
use tonic::{Code, Status};

use super::instruments::{Instrument, Instruments};
use crate::codes;
use crate::rpcs::Rpc;

/// The type of the detail that names a refusal's reason.
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

static CALLS: OnceLock<Calls> = OnceLock::new();

/// Where the calls of this process are told of.
pub(crate) struct Calls(Arc<Instruments>);

/// Where to tell of calls; none while no metrics leave the process.
pub(crate) fn calls() -> Option<&'static Calls> {
    CALLS.get()
}

pub(super) fn install(instruments: Arc<Instruments>) {
    // The first of a process counts, as with the subscriber.
    let _ = CALLS.set(Calls(instruments));
}

impl Calls {
    /// A call has begun.
    pub(crate) fn begun(&self, rpc: &Rpc) {
        self.record(
            "clientele.calls.active",
            1.0,
            &[method(rpc.name().to_owned())],
        );
    }

    /// A call has ended, as these headers or trailers say.
    pub(crate) fn ended(&self, rpc: &Rpc, code: Code, took: Duration, headers: Option<&HeaderMap>) {
        let name = rpc.name().to_owned();
        self.record("clientele.calls.active", -1.0, &[method(name.clone())]);
        let failed = codes::server_fault(code);
        self.duration("rpc.server.call.duration", name.clone(), code, failed, took);
        if let Some(reason) = headers.and_then(reason) {
            let reason = KeyValue::new("clientele.reason", reason);
            self.record("clientele.refusals", 1.0, &[method(name), reason]);
        }
    }

    /// A call to another service has ended.
    pub(crate) fn peer_ended(&self, name: String, code: Code, took: Duration) {
        self.duration(
            "rpc.client.call.duration",
            name,
            code,
            code != Code::Ok,
            took,
        );
    }

    fn duration(&self, metric: &str, name: String, code: Code, failed: bool, took: Duration) {
        let code = codes::name(code);
        let mut labels = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            method(name),
            KeyValue::new("rpc.response.status_code", code),
        ];
        if failed {
            labels.push(KeyValue::new("error.type", code));
        }
        self.record(metric, took.as_secs_f64(), &labels);
    }

    fn record(&self, metric: &str, value: f64, labels: &[KeyValue]) {
        if let Some((_, instrument)) = self.0.get(metric) {
            Instrument::record(instrument, value, labels);
        }
    }
}

fn method(name: String) -> KeyValue {
    KeyValue::new("rpc.method", name)
}

/// The reason of a refusal, from the details of its status. One that the protos do not know, which only
/// another service's answer could have, is `other`.
fn reason(headers: &HeaderMap) -> Option<&'static str> {
    let encoded = headers.get(Status::GRPC_STATUS_DETAILS)?.as_bytes();
    let details = STANDARD_NO_PAD
        .decode(encoded)
        .or_else(|_| STANDARD.decode(encoded))
        .ok()?;
    let status = tonic_types::pb::Status::decode(details.as_slice()).ok()?;
    let info = status
        .details
        .iter()
        .find(|any| any.type_url == ERROR_INFO)?;
    let info = tonic_types::pb::ErrorInfo::decode(info.value.as_slice()).ok()?;
    let known = Reason::from_wire_name(&info.reason);
    Some(known.map_or("other", Reason::wire_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals;

    #[test]
    fn a_refusal_tells_its_reason() {
        let headers = |status: Status| status.into_http::<()>().headers().clone();
        let refused = headers(refusals::permission_missing("contacts.read"));
        assert_eq!(reason(&refused), Some("PERMISSION_MISSING"));
        assert_eq!(reason(&headers(Status::internal("no details"))), None);
    }
}
