//! Which images run.

use serde_json::Value;

use super::Findings;
use crate::objects::{Objects, full_name, text};

/// Every image is named by its digest, which alone says what runs. A digest of zeros passes: it stands for
/// one that whoever installs has to say, nobody has an image of it, and `./dev lint` lists it. The installation for trying things
/// out, with its one Deployment of everything, has an image of the machine at hand.
pub fn pinned(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    if objects.get("Deployment", "suite").is_some() {
        return findings.all();
    }
    let workloads = objects.workloads();
    let containers = workloads.iter().flat_map(|workload| {
        let images = workload.containers().map(|container| &container["image"]);
        images.map(|image| (workload.name.clone(), image))
    });
    let clusters = objects.of("Cluster");
    let clusters = clusters.map(|cluster| (full_name(cluster), &cluster["spec"]["imageName"]));
    for (subject, image) in containers.chain(clusters) {
        findings.require(is_pinned(image), &subject, &format!("image {image}"));
    }
    findings.all()
}

fn is_pinned(image: &Value) -> bool {
    let Some((name, digest)) = text(image).split_once("@sha256:") else {
        return false;
    };
    // A name that is not a registry's would be looked for in a registry that nobody chose.
    let of_registry = name
        .split_once('/')
        .is_some_and(|(host, _)| host.contains('.'));
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    of_registry && digest.len() == 64 && digest.chars().all(hexadecimal)
}
