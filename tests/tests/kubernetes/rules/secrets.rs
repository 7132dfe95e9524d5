//! Secrets are in Secrets.

use super::Findings;
use super::settings::secret_at;
use crate::objects::{Objects, full_name, labels, list, text};

/// Words of settings that are secrets.
const SECRET: [&str; 5] = [
    "DATABASE_URL",
    "PASSWORD",
    "SECRET",
    "PRIVATE",
    "CREDENTIAL",
];

/// No secret is written into a ConfigMap, an environment or an argument, and none comes as a Secret
/// that stands in the repository. They come as files, which can change under a running pod, and which
/// no child process inherits.
pub fn secrets(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    findings.require(
        objects.of("Secret").count() == 0,
        "installation",
        "has a Secret",
    );
    for map in objects.of("ConfigMap") {
        for (name, value) in labels(&map["data"]) {
            findings.require(!is_secret(&name, &value), &full_name(map), &name);
        }
    }
    for workload in objects.workloads() {
        for container in workload.containers() {
            for variable in list(&container["env"]) {
                let (name, value) = (text(&variable["name"]), text(&variable["value"]));
                let from_secret = !variable["valueFrom"]["secretKeyRef"].is_null();
                let good = !from_secret && !is_secret(name, value);
                findings.require(good, &workload.name, name);
            }
            for argument in list(&container["args"]) {
                let good = !is_secret("", text(argument));
                findings.require(good, &workload.name, text(argument));
            }
        }
        if workload.clientele().is_some_and(|c| c["args"][0] != "up") {
            let clientele = workload.clientele().expect("is there");
            let environment = objects.environment(clientele);
            let file = environment.get("CLIENTELE_DATABASE_URL_FILE");
            let file = file.cloned().flatten().unwrap_or_default();
            let good = secret_at(workload.pod, clientele, &file).is_some();
            findings.require(good, &workload.name, "has its database from a Secret");
        }
    }
    findings.all()
}

/// Whether a setting is a secret by its name, or its value by its looks: a key, or a URL with a
/// password.
fn is_secret(name: &str, value: &str) -> bool {
    let with_password = value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':'))
    });
    let names_a_file = name.ends_with("_FILE");
    !names_a_file && SECRET.iter().any(|word| name.contains(word))
        || value.contains("PRIVATE KEY-----")
        || value.contains("postgres://")
        || with_password
}
