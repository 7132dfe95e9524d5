//! Probes ask at ports that are there, for services that the process has.

use prost_reflect::DescriptorPool;
use serde_json::Value;

use super::Findings;
use crate::objects::{Objects, Workload, list, text};

/// Every pod that stays is probed, at each of its containers that offer a port: what only looks after
/// files of another one has nothing to ask at. Those of the suite by gRPC: life by the empty name, which no
/// dependency can end, readiness by a service of theirs.
pub fn probes(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).expect("the suite's descriptors");
    for workload in objects.workloads() {
        if workload.object["kind"] == "Job" {
            continue;
        }
        let offering = |container: &&Value| !list(&container["ports"]).is_empty();
        let offering: Vec<_> = workload.containers().filter(offering).collect();
        findings.require(!offering.is_empty(), &workload.name, "offers a port");
        for container in offering {
            for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let good = asks_at_a_port(&workload, &container[kind]);
                findings.require(good, &workload.name, kind);
            }
        }
        let Some(clientele) = workload.clientele() else {
            continue;
        };
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        for kind in ["startupProbe", "livenessProbe"] {
            require(clientele[kind]["grpc"]["service"] == "", kind);
        }
        let ready = text(&clientele["readinessProbe"]["grpc"]["service"]);
        require(
            pool.get_service_by_name(ready).is_some(),
            "has this service",
        );
        if let Some(service) = clientele["args"][1].as_str() {
            let package = format!("clientele.{service}.v1.");
            require(ready.starts_with(&package), "asks for a service of its own");
        }
        let environment = objects.environment(clientele);
        let listens = environment
            .get("CLIENTELE_HEALTH_LISTEN")
            .cloned()
            .flatten();
        let port = clientele["readinessProbe"]["grpc"]["port"].as_i64();
        let expected = port.map(|port| format!("0.0.0.0:{port}"));
        require(
            expected.is_some() && listens == expected,
            "answers at the port",
        );
    }
    findings.all()
}

fn asks_at_a_port(workload: &Workload<'_>, probe: &Value) -> bool {
    let mut ports = ["grpc", "httpGet", "tcpSocket"]
        .iter()
        .map(|kind| &probe[kind]["port"]);
    let asked = ports.find(|port| !port.is_null());
    asked.is_some_and(|port| workload.port(port).is_some())
}
