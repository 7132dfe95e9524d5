//! Who can reach whom: exactly the arrows, computed from the policies for every pair and port.

mod model;
mod parties;

use std::collections::BTreeSet;

use crate::objects::Objects;

/// What may be reached in every installation, and what comes with the objects that need it: caller,
/// called and port. `every pod` is each of the installation's own.
const ARROWS: &[(&str, &[&str])] = &[
    ("", &["every pod > dns: UDP 53", "every pod > dns: TCP 53"]),
    (
        "Deployment/contacts",
        &[
            "caller > Deployment/contacts: TCP 50051",
            "Deployment/pipeline > Deployment/contacts: TCP 50051",
            "Deployment/contacts > internet: TCP 443",
        ],
    ),
    (
        "Deployment/pipeline",
        &[
            "caller > Deployment/pipeline: TCP 50051",
            "Deployment/billing > Deployment/pipeline: TCP 50051",
            "Deployment/pipeline > internet: TCP 443",
        ],
    ),
    (
        "Deployment/billing",
        &[
            "caller > Deployment/billing: TCP 50051",
            "Deployment/billing > internet: TCP 443",
        ],
    ),
    (
        "Cluster/database",
        &[
            "Deployment/contacts > Cluster/database: TCP 5432",
            "Deployment/pipeline > Cluster/database: TCP 5432",
            "Deployment/billing > Cluster/database: TCP 5432",
            "Job/contacts-migrate > Cluster/database: TCP 5432",
            "Job/pipeline-migrate > Cluster/database: TCP 5432",
            "Job/billing-migrate > Cluster/database: TCP 5432",
            "Cluster/database > Cluster/database: TCP 5432",
            "database operator > Cluster/database: TCP 5432",
            "database operator > Cluster/database: TCP 8000",
            // The API server, wherever it is.
            "Cluster/database > internet: TCP 443",
            "Cluster/database > internet: TCP 6443",
            "Cluster/database > private network: TCP 443",
            "Cluster/database > private network: TCP 6443",
        ],
    ),
    (
        "Deployment/collector",
        &[
            "Deployment/contacts > Deployment/collector: TCP 4317",
            "Deployment/pipeline > Deployment/collector: TCP 4317",
            "Deployment/billing > Deployment/collector: TCP 4317",
        ],
    ),
    (
        "StatefulSet/nats",
        &[
            "Deployment/contacts > StatefulSet/nats: TCP 4222",
            "Deployment/pipeline > StatefulSet/nats: TCP 4222",
            "Deployment/billing > StatefulSet/nats: TCP 4222",
            "StatefulSet/nats > StatefulSet/nats: TCP 6222",
        ],
    ),
    (
        "ServiceMonitor/collector",
        &["prometheus > Deployment/collector: TCP 9464"],
    ),
];

/// The network lets pass the arrows, and nothing else.
pub fn arrows(objects: &Objects) -> Vec<String> {
    let parties = parties::parties(objects);
    let own: Vec<&str> = parties
        .iter()
        .filter(|party| party.is_own())
        .map(|party| party.name.as_str())
        .collect();
    let wanted: BTreeSet<String> = ARROWS
        .iter()
        .filter(|(object, _)| match object.split_once('/') {
            Some((kind, name)) => objects.get(kind, name).is_some(),
            None => true,
        })
        .flat_map(|(_, arrows)| arrows.iter())
        .flat_map(|arrow| match arrow.strip_prefix("every pod") {
            Some(rest) => own.iter().map(|pod| format!("{pod}{rest}")).collect(),
            None => vec![(*arrow).to_owned()],
        })
        .collect();
    let found = model::reachable(objects, &parties);
    let missing = wanted
        .difference(&found)
        .map(|arrow| format!("{arrow}: is wanted"));
    let more = found
        .difference(&wanted)
        .map(|arrow| format!("{arrow}: is open"));
    missing.chain(more).collect()
}
