//! The variables of OpenTelemetry's SDK, checked before the SDK reads them: it takes a value that it
//! can't read for none at all.

use super::TelemetryError;

/// Variables that hold a whole number of at least one.
const NUMBERS: [&str; 14] = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
];

/// Variables that hold one of a few words.
const WORDS: [(&str, &[&str]); 3] = [
    (
        "OTEL_TRACES_SAMPLER",
        &[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
    ),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["grpc"]),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &["cumulative", "delta", "lowmemory"],
    ),
];

/// The share of traces that the sampler takes.
const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";

/// What a variable holds; an empty one counts as not set.
pub(super) fn variable(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

/// Refuses a value that the SDK would pass over.
pub(super) fn check() -> Result<(), TelemetryError> {
    NUMBERS
        .into_iter()
        .chain(WORDS.map(|(key, _)| key))
        .chain([SHARE])
        .filter_map(|key| Some((key, variable(key)?)))
        .try_for_each(|(key, value)| check_one(key, &value))
}

fn check_one(key: &str, value: &str) -> Result<(), TelemetryError> {
    let expected = match WORDS.iter().find(|(known, _)| *known == key) {
        Some((_, words)) if !words.contains(&value) => format!("one of {}", words.join(", ")),
        None if key == SHARE => match value.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => return Ok(()),
            _ => "a share of 0 to 1".to_owned(),
        },
        None if !value.parse::<u32>().is_ok_and(|number| number > 0) => {
            "a whole number of at least 1".to_owned()
        }
        _ => return Ok(()),
    };
    let problem = format!("{value:?}: expected {expected}");
    Err(TelemetryError::setting(key, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdk_would_pass_over_is_refused_by_name() {
        for (key, good, bad) in [
            ("OTEL_BSP_SCHEDULE_DELAY", "100", "soon"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000", "0"),
            ("OTEL_TRACES_SAMPLER", "traceidratio", "xray"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            (SHARE, "0.25", "1.5"),
        ] {
            assert!(check_one(key, good).is_ok(), "{key}");
            match check_one(key, bad) {
                Err(TelemetryError::Setting {
                    key: named,
                    problem,
                }) => {
                    assert_eq!(named, key);
                    assert!(problem.contains(bad), "{problem}");
                }
                other => panic!("{key}: {other:?}"),
            }
        }
    }
}
