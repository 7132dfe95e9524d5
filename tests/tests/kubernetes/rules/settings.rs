//! Settings are the binary's, and lead where they should.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::Findings;
use crate::objects::{Objects, list, text};

/// Every variable of a pod is a setting of the command that it runs, and its arguments are its own:
/// the binary is asked for both.
pub fn known(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let mut asked = BTreeMap::new();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele() else {
            continue;
        };
        let arguments: Vec<String> = list(&clientele["args"])
            .iter()
            .map(|argument| text(argument).to_owned())
            .collect();
        let settings = asked
            .entry(arguments.clone())
            .or_insert_with(|| settings_of(&arguments));
        let Some(settings) = settings else {
            let problem = format!("the binary does not know {arguments:?}");
            findings.require(false, &workload.name, &problem);
            continue;
        };
        for name in objects.environment(clientele).keys() {
            findings.require(settings.contains(name), &workload.name, name);
        }
    }
    findings.all()
}

/// The variables that the binary reads when it is started with these arguments; none where it refuses
/// them.
fn settings_of(arguments: &[String]) -> Option<BTreeSet<String>> {
    let help = Command::new(harness::suite::binary())
        .args(arguments)
        .arg("--help")
        .output()
        .expect("the binary");
    let help = help.status.success().then_some(help.stdout)?;
    let help = String::from_utf8(help).ok()?;
    let marks = help.split("[env: ").skip(1);
    let names = marks.filter_map(|mark| mark.split([']', '=']).next());
    let mut settings: BTreeSet<String> = names.map(str::to_owned).collect();
    // Files of secrets have no line of their own.
    let words = help.split_whitespace();
    let files = words.filter_map(|word| word.strip_prefix("--")?.strip_suffix("-file"));
    settings.extend(files.map(|secret| {
        let name = secret.to_uppercase().replace('-', "_");
        format!("CLIENTELE_{name}_FILE")
    }));
    Some(settings)
}

/// A service listens at the port of its Services, and calls the others at Services whose every address
/// is a pod.
pub fn addresses(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele().filter(|c| c["args"][0] == "serve") else {
            continue;
        };
        let environment = objects.environment(clientele);
        let value = |name: &str| environment.get(name).cloned().flatten();
        let listens = value("CLIENTELE_LISTEN");
        let port = workload.port(&Value::from("grpc"));
        let expected = port.map(|port| format!("0.0.0.0:{port}"));
        let good = expected.is_some() && listens == expected;
        findings.require(good, &workload.name, "CLIENTELE_LISTEN");
        let peer = match text(&clientele["args"][1]) {
            "pipeline" => Some("contacts"),
            "billing" => Some("pipeline"),
            _ => None,
        };
        for called in ["contacts", "pipeline"] {
            let setting = format!("CLIENTELE_{}_URI", called.to_uppercase());
            let expected = (peer == Some(called))
                .then(|| objects.get("Service", &format!("{called}-headless")))
                .flatten()
                .map(|service| {
                    let port = &service["spec"]["ports"][0]["port"];
                    format!("https://{called}-headless:{port}")
                });
            findings.require(value(&setting) == expected, &workload.name, &setting);
        }
    }
    findings.all()
}

/// The certificate of each service has the names that it is called by, and the URI that says which
/// service it is; it is mounted where the settings look for it.
pub fn certificates(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele().filter(|c| c["args"][0] == "serve") else {
            continue;
        };
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        let environment = objects.environment(clientele);
        let service = text(&clientele["args"][1]);
        let secret = format!("{service}-tls");
        let mut all = objects.of("Certificate");
        let Some(certificate) = all.find(|found| found["spec"]["secretName"] == secret) else {
            require(false, "has a Certificate");
            continue;
        };
        let spec = &certificate["spec"];
        let pattern = environment.get("CLIENTELE_SERVICE_SAN").cloned().flatten();
        let uri = pattern.unwrap_or_default().replace("{service}", service);
        require(spec["uris"] == Value::from(vec![uri]), "uris");
        for host in [service.to_owned(), format!("{service}-headless")] {
            require(
                list(&spec["dnsNames"]).contains(&Value::from(host)),
                "dnsNames",
            );
        }
        for usage in ["server auth", "client auth"] {
            require(list(&spec["usages"]).contains(&Value::from(usage)), usage);
        }
        let issuer = objects.get("Issuer", text(&spec["issuerRef"]["name"]));
        require(issuer.is_some(), "issuerRef");
        for (setting, key) in [
            ("CLIENTELE_TLS_CERTIFICATE", "tls.crt"),
            ("CLIENTELE_TLS_KEY", "tls.key"),
            ("CLIENTELE_CLIENT_CA", "ca.crt"),
            ("CLIENTELE_PEER_CA", "ca.crt"),
        ] {
            let path = environment.get(setting).cloned().flatten();
            let mounted = mounted(workload.pod, clientele, &secret, key);
            require(mounted.is_some() && path == mounted, setting);
        }
    }
    findings.all()
}

/// Where a key of a Secret is found in a container.
pub fn mounted(pod: &Value, container: &Value, secret: &str, key: &str) -> Option<String> {
    let mut volumes = list(&pod["volumes"]).iter();
    let volume = volumes.find(|volume| volume["secret"]["secretName"] == secret)?;
    let mut items = list(&volume["secret"]["items"]).iter();
    let item = items.find(|item| item["key"] == key)?;
    let mut mounts = list(&container["volumeMounts"]).iter();
    let mount = mounts.find(|mount| mount["name"] == volume["name"])?;
    Some(format!(
        "{}/{}",
        text(&mount["mountPath"]),
        text(&item["path"])
    ))
}

/// The name of the Secret whose key is found at a path in a container.
pub fn secret_at<'a>(pod: &'a Value, container: &Value, path: &str) -> Option<&'a str> {
    let secrets = list(&pod["volumes"]).iter().filter_map(|volume| {
        let secret = &volume["secret"];
        Some((secret["secretName"].as_str()?, list(&secret["items"])))
    });
    let mut keys = secrets.flat_map(|(name, items)| items.iter().map(move |item| (name, item)));
    let found = keys.find(|(name, item)| {
        mounted(pod, container, name, text(&item["key"])).is_some_and(|at| at == path)
    });
    found.map(|(name, _)| name)
}
