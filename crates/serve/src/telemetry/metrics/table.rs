//! Every metric that the suite emits: what `docs/telemetry.md`, the dashboards and the alerts are checked
//! against.
//!
//! Names of calls and of the database are those of OpenTelemetry's conventions (1.45); what is ours begins
//! with `clientele.`. Invariant: a label has few values, known beforehand: never a contact, a workspace, a
//! person, or what somebody typed.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit, as UCUM writes it.
    pub unit: &'static str,
    /// How it is recorded.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, as a sentence.
    pub meaning: &'static str,
}

/// How a metric is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Values by size, in buckets up to these bounds.
    Histogram(&'static [f64]),
    /// As it was seen last.
    Gauge,
    /// As it is when metrics are collected.
    Look,
    /// Only rises; looked at when metrics are collected.
    LookCounter,
    /// Goes up and down with what begins and ends.
    UpDown,
    /// Seconds since something; they pass until it is reported anew.
    Age,
}

/// Bounds of times in seconds: from a read in memory to the longest deadline.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Bounds of how many writes shared a commit.
const MEMBERS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The table.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "rpc.server.call.duration",
        unit: "s",
        kind: Kind::Histogram(SECONDS),
        labels: &[
            "rpc.system.name",
            "rpc.method",
            "rpc.response.status_code",
            "error.type",
        ],
        meaning: "How long calls took, streams included, from their headers to their status.",
    },
    Metric {
        name: "rpc.client.call.duration",
        unit: "s",
        kind: Kind::Histogram(SECONDS),
        labels: &[
            "rpc.system.name",
            "rpc.method",
            "rpc.response.status_code",
            "error.type",
        ],
        meaning: "How long another service of the suite took to answer; of a stream, until it began.",
    },
    Metric {
        name: "clientele.calls.active",
        unit: "{call}",
        kind: Kind::UpDown,
        labels: &["rpc.method"],
        meaning: "Calls in progress, open streams included.",
    },
    Metric {
        name: "clientele.refusals",
        unit: "{refusal}",
        kind: Kind::Counter,
        labels: &["rpc.method", "clientele.reason"],
        meaning: "Calls that were refused with a reason (docs/reasons); OVERLOADED are those shed.",
    },
    Metric {
        name: "db.client.operation.duration",
        unit: "s",
        kind: Kind::Histogram(SECONDS),
        labels: &[
            "db.system.name",
            "db.namespace",
            "db.operation.name",
            "clientele.kept",
        ],
        meaning: "How long database operations took, waiting and repeating included. `clientele.kept` is \
                  false where the operation was refused and nothing of it stays.",
    },
    Metric {
        name: "db.client.connection.count",
        unit: "{connection}",
        kind: Kind::Gauge,
        labels: &[
            "db.client.connection.pool.name",
            "db.client.connection.state",
        ],
        meaning: "Connections of a service's pool: `used` or `idle`. On SQLite those that read.",
    },
    Metric {
        name: "db.client.connection.max",
        unit: "{connection}",
        kind: Kind::Gauge,
        labels: &["db.client.connection.pool.name"],
        meaning: "How many connections the pool has at most.",
    },
    Metric {
        name: "db.client.connection.wait_time",
        unit: "s",
        kind: Kind::Histogram(SECONDS),
        labels: &["db.client.connection.pool.name"],
        meaning: "How long operations waited for their turn at a connection.",
    },
    Metric {
        name: "clientele.commit.group.size",
        unit: "{write}",
        kind: Kind::Histogram(MEMBERS),
        labels: &["db.namespace"],
        meaning: "Writes that shared one commit on SQLite.",
    },
    Metric {
        name: "clientele.change_log.horizon.age",
        unit: "s",
        kind: Kind::Gauge,
        labels: &["db.namespace"],
        meaning: "The age of the oldest transaction that keeps followers of the change log from reading on; \
                  0 where none does. On SQLite always 0. On PostgreSQL nothing is told while other roles have \
                  transactions that this one may not see (pg_read_all_stats).",
    },
    Metric {
        name: "clientele.follower.lag",
        unit: "s",
        kind: Kind::Age,
        labels: &["clientele.follower"],
        meaning: "How far a follower of a change log is behind: the age of the oldest entry that it may not \
                  have read. Up to 15 s say nothing, that is how often a quiet log is heard of. Take the least of \
                  all replicas: one follows, the others only stand by.",
    },
    Metric {
        name: "clientele.events.lag",
        unit: "s",
        kind: Kind::Gauge,
        labels: &["clientele.service"],
        meaning: "The age of the oldest change of a service that is neither published to the bus nor parked; 0 \
                  where none waits, or another process publishes.",
    },
    Metric {
        name: "clientele.events.parked",
        unit: "{event}",
        kind: Kind::Gauge,
        labels: &["clientele.service"],
        meaning: "Events of a service that are parked, those included that only wait behind another one; 0 where \
                  another process publishes.",
    },
    Metric {
        name: "clientele.transitions",
        unit: "{transition}",
        kind: Kind::Counter,
        labels: &[
            "clientele.stage.from",
            "clientele.stage.to",
            "clientele.role.from",
            "clientele.role.to",
        ],
        meaning: "Moves that were written to histories, counted as the projection reads the log. Stages \
                  that no preset has are `other`; an empty one is no position.",
    },
    Metric {
        name: "clientele.grants.acquired",
        unit: "{grant}",
        kind: Kind::Counter,
        labels: &[],
        meaning: "Grants that billing has fetched and installed.",
    },
    Metric {
        name: "clientele.grants.held",
        unit: "{grant}",
        kind: Kind::Gauge,
        labels: &[],
        meaning: "Grants that holders are registered for at pipeline.",
    },
    Metric {
        name: "clientele.recalls.pending",
        unit: "{recall}",
        kind: Kind::Gauge,
        labels: &[],
        meaning: "Moves that wait for grants to be given back.",
    },
    Metric {
        name: "clientele.recalls.oldest.age",
        unit: "s",
        kind: Kind::Gauge,
        labels: &[],
        meaning: "How long the oldest of them has waited; 0 where none does.",
    },
    Metric {
        name: "clientele.runtime.workers",
        unit: "{thread}",
        kind: Kind::Look,
        labels: &[],
        meaning: "Threads of the tokio runtime that run tasks.",
    },
    Metric {
        name: "clientele.runtime.tasks",
        unit: "{task}",
        kind: Kind::Look,
        labels: &[],
        meaning: "Tasks of the tokio runtime that have not ended.",
    },
    Metric {
        name: "clientele.runtime.queue",
        unit: "{task}",
        kind: Kind::Look,
        labels: &[],
        meaning: "Tasks that wait in the runtime's shared queue.",
    },
    Metric {
        name: "clientele.runtime.busy_time",
        unit: "s",
        kind: Kind::LookCounter,
        labels: &[],
        meaning: "Time that the runtime's threads were busy, all together.",
    },
    Metric {
        name: "process.cpu.time",
        unit: "s",
        kind: Kind::LookCounter,
        labels: &["cpu.mode"],
        meaning: "Time that the process has run, as `user` or in the `system` for it.",
    },
    Metric {
        name: "process.memory.usage",
        unit: "By",
        kind: Kind::Look,
        labels: &[],
        meaning: "Physical memory that the process holds.",
    },
];

/// The metric of this name.
pub(super) fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_bounds_rise() {
        for (index, metric) in METRICS.iter().enumerate() {
            let twice = METRICS[..index]
                .iter()
                .any(|other| other.name == metric.name);
            assert!(!twice, "{}", metric.name);
            assert!(metric.meaning.ends_with('.'), "{}", metric.name);
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted(), "{}", metric.name);
            }
        }
    }
}
