//! Alerts that can fire.

use super::Findings;
use crate::objects::{Objects, list, text};

/// What tells of much memory does so before the container is ended for it: at six to nine tenths of its
/// limit.
pub fn memory(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let groups = objects
        .of("PrometheusRule")
        .flat_map(|rules| list(&rules["spec"]["groups"]));
    let mut alerts = groups.flat_map(|group| list(&group["rules"]));
    let Some(alert) = alerts.find(|rule| rule["alert"] == "ClienteleMemoryHigh") else {
        return findings.all();
    };
    let (_, threshold) = text(&alert["expr"]).rsplit_once("> ").unwrap_or_default();
    let threshold: Option<u64> = threshold.trim().parse().ok();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele() else {
            continue;
        };
        if workload.object["kind"] == "Job" {
            continue;
        }
        let limit = bytes(text(&clientele["resources"]["limits"]["memory"]));
        let good = threshold.zip(limit).is_some_and(|(threshold, limit)| {
            (limit / 10 * 6..=limit / 10 * 9).contains(&threshold)
        });
        let problem = format!("is told of at {threshold:?} bytes and ended at {limit:?}");
        findings.require(good, &workload.name, &problem);
    }
    findings.all()
}

/// The bytes of a quantity of memory.
fn bytes(quantity: &str) -> Option<u64> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((quantity.strip_suffix(unit)?, *shift)))
        .unwrap_or((quantity, 0));
    Some(number.parse::<u64>().ok()? << shift)
}
