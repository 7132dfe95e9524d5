//! Numbers that must agree: the time to end in, and the connections of the database.

use std::collections::BTreeMap;

use super::Findings;
use crate::objects::{Objects, text};

/// What a server takes beyond the grace for closing connections, in milliseconds.
const CLOSING_MS: i64 = 1_000;

/// Nobody is killed while serving: the kubelet waits for longer than the process takes from SIGTERM
/// on, which is the lame-duck time and the grace. Behind Services the lame-duck time covers the news
/// of the end, and the grace the longest call; and a rollout takes nobody away before somebody else
/// is ready.
pub fn drain(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let longest_call = serve::Config::default().deadline_max_ms.cast_signed();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele() else {
            continue;
        };
        if workload.object["kind"] == "Job" {
            continue;
        }
        let environment = objects.environment(clientele);
        let number = |name| number(&environment, name);
        let (lame_duck, grace) = (
            number("CLIENTELE_LAME_DUCK_MS").unwrap_or(0),
            number("CLIENTELE_GRACE_MS"),
        );
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        let stop = &clientele["lifecycle"]["preStop"]["sleep"]["seconds"];
        let stop = stop.as_i64().unwrap_or(0);
        let given = workload.pod["terminationGracePeriodSeconds"].as_i64();
        let taken = grace.map(|grace| stop * 1_000 + lame_duck + grace + CLOSING_MS);
        let good = given.is_some() && given.map(|given| given * 1_000) >= taken && taken.is_some();
        require(good, "terminationGracePeriodSeconds");
        let alone = workload.object["spec"]["replicas"] == 1;
        if alone {
            continue;
        }
        require(lame_duck >= 5_000, "lame-duck time");
        require(grace > Some(longest_call), "grace");
        let rollout = &workload.object["spec"]["strategy"]["rollingUpdate"];
        let good = rollout["maxUnavailable"] == 0 && rollout["maxSurge"] == 1;
        require(good, "rollingUpdate");
    }
    findings.all()
}

/// The database has a connection for each that the services may open, all replicas during a rollout
/// included, and leaves some for the operator.
pub fn connections(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for cluster in objects.of("Cluster") {
        let parameters = &cluster["spec"]["postgresql"]["parameters"];
        let max: Option<i64> = text(&parameters["max_connections"]).parse().ok();
        let mut needed = 20;
        for workload in objects.workloads() {
            let Some(clientele) = workload.clientele() else {
                continue;
            };
            let pool = number(&objects.environment(clientele), "CLIENTELE_POOL_MAX");
            let mut scalers = objects.of("HorizontalPodAutoscaler");
            let scaler = scalers.find(|scaler| {
                let target = &scaler["spec"]["scaleTargetRef"];
                workload.name == format!("{}/{}", text(&target["kind"]), text(&target["name"]))
            });
            let replicas = scaler.and_then(|scaler| scaler["spec"]["maxReplicas"].as_i64());
            // One more during a rollout; a migration has one connection.
            needed += replicas.map_or(1, |replicas| (replicas + 1) * pool.unwrap_or(16));
        }
        let problem = format!("max_connections is less than {needed}");
        findings.require(max >= Some(needed), "Cluster", &problem);
    }
    findings.all()
}

fn number(environment: &BTreeMap<String, Option<String>>, name: &str) -> Option<i64> {
    environment.get(name)?.as_ref()?.parse().ok()
}
