//! The servers of the bus and the services agree: addresses, certificates, users, replicas.

use serde_json::Value;

use super::Findings;
use super::settings::mounted;
use crate::objects::{Objects, list, text};

/// Services find the servers, know them and are known by them, and their stream is on all of them. What
/// a user may do is tried with the servers themselves.
pub fn bus(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    if let Some(set) = objects.get("StatefulSet", "nats") {
        let configuration = configuration(objects, set).unwrap_or_default();
        servers(objects, set, &configuration, &mut findings);
        services(objects, set, &configuration, &mut findings);
    }
    findings.all()
}

/// The servers know each other, by names that their certificate has.
fn servers(objects: &Objects, set: &Value, configuration: &str, findings: &mut Findings) {
    let mut require = |good, problem: &str| findings.require(good, "StatefulSet/nats", problem);
    let replicas = set["spec"]["replicas"].as_i64().unwrap_or_default();
    require(replicas == 3, "two of three decide");
    for index in 0..replicas {
        let route = format!("\"tls://nats-{index}.nats-headless:6222\"");
        require(configuration.contains(&route), &route);
    }
    let pod = &set["spec"]["template"]["spec"];
    for key in ["tls.crt", "tls.key", "ca.crt"] {
        let path = mounted(pod, &pod["containers"][0], "nats-tls", key);
        let good = path.is_some_and(|path| configuration.contains(&format!("\"{path}\"")));
        require(good, key);
    }
    let mut certificates = objects.of("Certificate");
    let certificate = certificates.find(|found| found["spec"]["secretName"] == "nats-tls");
    let spec = certificate.map_or(&Value::Null, |found| &found["spec"]);
    for name in ["nats", "*.nats-headless"] {
        let named = list(&spec["dnsNames"]).contains(&Value::from(name));
        require(named, name);
    }
    let own = text(&spec["uris"][0]);
    let route = format!("authorization {{ user: \"{own}\" }}");
    require(configuration.contains(&route), &route);
}

/// The services are users of the servers.
fn services(objects: &Objects, set: &Value, configuration: &str, findings: &mut Findings) {
    let port = objects.get("Service", "nats");
    let port = port.map_or(&Value::Null, |nats| &nats["spec"]["ports"][0]["port"]);
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele().filter(|c| c["args"][0] == "serve") else {
            continue;
        };
        let environment = objects.environment(clientele);
        let value = |name: &str| environment.get(name).cloned().flatten();
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        for (setting, expected) in [
            ("CLIENTELE_NATS_URL", format!("tls://nats:{port}")),
            (
                "CLIENTELE_EVENTS_REPLICAS",
                set["spec"]["replicas"].to_string(),
            ),
        ] {
            require(value(setting) == Some(expected), setting);
        }
        let service = text(&clientele["args"][1]);
        let secret = format!("{service}-tls");
        for (setting, key) in [
            ("CLIENTELE_NATS_CA", "ca.crt"),
            ("CLIENTELE_NATS_CERTIFICATE", "tls.crt"),
            ("CLIENTELE_NATS_KEY", "tls.key"),
        ] {
            let path = mounted(workload.pod, clientele, &secret, key);
            require(path.is_some() && value(setting) == path, setting);
        }
        let uri = value("CLIENTELE_SERVICE_SAN").unwrap_or_default();
        let user = format!("user: \"{}\"", uri.replace("{service}", service));
        require(configuration.contains(&user), &user);
    }
}

/// The configuration that the servers are started with.
fn configuration(objects: &Objects, set: &Value) -> Option<String> {
    let pod = &set["spec"]["template"]["spec"];
    let server = &pod["containers"][0];
    let argument = list(&server["args"]).first()?.as_str()?;
    let path = argument.strip_prefix("--config=")?;
    let (folder, file) = path.rsplit_once('/')?;
    let mut mounts = list(&server["volumeMounts"]).iter();
    let mount = mounts.find(|mount| mount["mountPath"] == folder)?;
    let mut volumes = list(&pod["volumes"]).iter();
    let volume = volumes.find(|volume| volume["name"] == mount["name"])?;
    let map = objects.get("ConfigMap", text(&volume["configMap"]["name"]))?;
    map["data"][file].as_str().map(str::to_owned)
}
