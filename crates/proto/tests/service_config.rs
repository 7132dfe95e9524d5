//! `proto/service_config.json`, by which clients in other languages know how long a call may take and
//! which calls may be repeated: it says what the method options say.

use proto::options::v1::{Criticality, Idempotency};
use serde_json::{Value, json};

const PUBLISHED: &str = include_str!("../../../proto/service_config.json");

/// What other languages are told. The suite's own calls are its own affair.
fn expected() -> Value {
    let open = || proto::methods().iter().filter(|method| !method.internal);
    let unary = |criticality: fn(Criticality) -> bool| {
        open().filter(move |method| !method.streaming && criticality(method.criticality))
    };
    let lists = unary(|criticality| criticality == Criticality::Sheddable);
    let others = unary(|criticality| criticality != Criticality::Sheddable);
    let streams = open().filter(|method| method.streaming);
    json!({
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        "methodConfig": [
            {"name": names(others), "timeout": "5s", "retryPolicy": retries()},
            {"name": names(lists), "timeout": "30s", "retryPolicy": retries()},
            {"name": names(streams), "retryPolicy": retries()},
        ],
    })
}

/// Every method is a read, repeats to no effect, or takes a request id; one that is none of these must
/// get an entry without this.
fn names<'a>(methods: impl Iterator<Item = &'a proto::Method>) -> Vec<Value> {
    methods
        .map(|method| {
            let may_be_repeated = matches!(
                method.idempotency,
                Idempotency::Read | Idempotency::Natural | Idempotency::RequestId
            );
            assert!(may_be_repeated, "{}", method.path);
            json!({"service": method.service, "method": method.name})
        })
        .collect()
}

/// Only UNAVAILABLE: every other code is an answer.
fn retries() -> Value {
    json!({
        "maxAttempts": 4,
        "initialBackoff": "0.05s",
        "backoffMultiplier": 2,
        "maxBackoff": "1s",
        "retryableStatusCodes": ["UNAVAILABLE"],
    })
}

#[test]
fn the_published_service_config_says_what_the_method_options_say() {
    let published: Value = serde_json::from_str(PUBLISHED).expect("JSON");
    let expected = expected();
    let text = serde_json::to_string_pretty(&expected).expect("JSON");
    assert!(
        published == expected,
        "proto/service_config.json should be\n{text}"
    );
}
