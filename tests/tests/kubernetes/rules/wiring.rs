//! Objects find each other: by labels, by names, by ports.

use serde_json::Value;

use super::Findings;
use crate::objects::{self, Objects, Workload, full_name, list, selects, text};

/// Everything says what it is part of; pods and what makes them also which part.
pub fn labels(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for object in &objects.0 {
        let part_of = &object["metadata"]["labels"]["app.kubernetes.io/part-of"];
        let good = part_of == "clientele" || object["kind"] == "Namespace";
        findings.require(good, &full_name(object), "part-of");
    }
    for workload in objects.workloads() {
        let own = objects::labels(&workload.object["metadata"]["labels"]);
        for label in ["name", "component", "part-of"] {
            let label = format!("app.kubernetes.io/{label}");
            let good = workload.labels.contains_key(&label)
                && workload.labels.get(&label) == own.get(&label);
            findings.require(good, &workload.name, &label);
        }
        let selector = objects::labels(&workload.object["spec"]["selector"]["matchLabels"]);
        let good = workload.object["kind"] == "Job"
            || (!selector.is_empty() && selects(&selector, &workload.labels));
        findings.require(good, &workload.name, "selects its own pods");
    }
    findings.all()
}

/// The one workload whose pods a selector selects.
fn selected<'a>(workloads: &'a [Workload<'a>], selector: &Value) -> Option<&'a Workload<'a>> {
    let selector = objects::labels(selector);
    let mut all = workloads
        .iter()
        .filter(|workload| !selector.is_empty() && selects(&selector, &workload.labels));
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// A Service leads to the pods of one workload, that of its name, at ports that they have.
pub fn services(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let workloads = objects.workloads();
    for service in objects.of("Service") {
        let subject = full_name(service);
        let Some(workload) = selected(&workloads, &service["spec"]["selector"]) else {
            findings.require(false, &subject, "selects the pods of one workload");
            continue;
        };
        let name = objects::name(service);
        let name = name.strip_suffix("-headless").unwrap_or(name);
        let own = workload
            .name
            .split_once('/')
            .is_some_and(|(_, own)| own == name);
        findings.require(own, &subject, "selects the pods of its name");
        let ports = list(&service["spec"]["ports"]);
        findings.require(!ports.is_empty(), &subject, "ports");
        for port in ports {
            let good = workload.port(&port["targetPort"]).is_some();
            findings.require(good, &subject, &format!("port {port}"));
        }
        let headless = objects::name(service).ends_with("-headless");
        let good = headless == (service["spec"]["clusterIP"] == "None");
        findings.require(good, &subject, "clusterIP");
    }
    for set in objects.of("StatefulSet") {
        // The names of its pods are those of this Service.
        let governing = text(&set["spec"]["serviceName"]);
        let good = governing == format!("{}-headless", objects::name(set))
            && objects.get("Service", governing).is_some();
        findings.require(good, &full_name(set), "serviceName");
    }
    for workload in &workloads {
        let component = workload.labels.get("app.kubernetes.io/component");
        let name = objects::name(workload.object);
        let good = component.is_none_or(|component| component != "service")
            || name == "suite"
            || [name, &format!("{name}-headless")]
                .iter()
                .all(|service| objects.get("Service", service).is_some());
        findings.require(good, &workload.name, "has both its Services");
    }
    findings.all()
}

/// Every workload of more than one pod has a budget of disruptions, which leaves room for a drain.
pub fn budgets(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let workloads = objects.workloads();
    let mut covered = Vec::new();
    for budget in objects.of("PodDisruptionBudget") {
        let selected = selected(&workloads, &budget["spec"]["selector"]["matchLabels"]);
        let subject = full_name(budget);
        findings.require(
            selected.is_some(),
            &subject,
            "selects the pods of one workload",
        );
        let good = budget["spec"]["maxUnavailable"] == 1;
        findings.require(good, &subject, "lets one pod go at a time");
        covered.extend(selected.map(|workload| workload.name.clone()));
    }
    for workload in &workloads {
        let alone = workload.object["kind"] == "Job" || workload.object["spec"]["replicas"] == 1;
        let good = alone || covered.contains(&workload.name);
        findings.require(good, &workload.name, "has a budget of disruptions");
    }
    findings.all()
}

/// An autoscaler scales a workload that leaves the number of its replicas to it, and keeps more than
/// one of each service.
pub fn scaling(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let mut scaled = Vec::new();
    for scaler in objects.of("HorizontalPodAutoscaler") {
        let target = &scaler["spec"]["scaleTargetRef"];
        let found = objects.get(text(&target["kind"]), text(&target["name"]));
        let good = found.is_some_and(|found| {
            found["apiVersion"] == target["apiVersion"] && found["spec"]["replicas"].is_null()
        });
        findings.require(good, &full_name(scaler), "scaleTargetRef");
        let (min, max) = (
            &scaler["spec"]["minReplicas"],
            &scaler["spec"]["maxReplicas"],
        );
        let good = min
            .as_i64()
            .is_some_and(|min| min >= 2 && max.as_i64() > Some(min));
        findings.require(good, &full_name(scaler), "replicas");
        scaled.extend(found.map(full_name));
    }
    for deployment in objects.of("Deployment") {
        let good =
            deployment["spec"]["replicas"].is_i64() || scaled.contains(&full_name(deployment));
        findings.require(good, &full_name(deployment), "has a number of replicas");
    }
    findings.all()
}

/// What pods are made of is there: ConfigMaps and claims among the objects, Secrets by what makes them.
pub fn references(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let secrets = secrets_made(objects);
    for workload in objects.workloads() {
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        for container in workload.containers() {
            for source in list(&container["envFrom"]) {
                let name = text(&source["configMapRef"]["name"]);
                require(objects.get("ConfigMap", name).is_some(), name);
            }
            for variable in list(&container["env"]) {
                let secret = &variable["valueFrom"]["secretKeyRef"];
                let good = secret.is_null() || makes(&secrets, &secret["name"], &secret["key"]);
                require(good, &secret.to_string());
            }
            for mount in list(&container["volumeMounts"]) {
                let good = has_volume(&workload, &mount["name"]);
                require(good, &format!("volume {}", mount["name"]));
            }
        }
        for volume in list(&workload.pod["volumes"]) {
            for item in list(&volume["secret"]["items"]) {
                let secret = &volume["secret"]["secretName"];
                let good = makes(&secrets, secret, &item["key"]);
                require(good, &format!("{secret} {}", item["key"]));
            }
            let map = volume["configMap"]["name"].as_str();
            let good = map.is_none_or(|map| objects.get("ConfigMap", map).is_some());
            require(good, &volume.to_string());
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
            let good =
                claim.is_none_or(|claim| objects.get("PersistentVolumeClaim", claim).is_some());
            require(good, &volume.to_string());
        }
    }
    findings.all()
}

fn has_volume(workload: &Workload<'_>, name: &Value) -> bool {
    let volumes = list(&workload.pod["volumes"])
        .iter()
        .map(|volume| &volume["name"]);
    let claims = list(&workload.object["spec"]["volumeClaimTemplates"]).iter();
    volumes
        .chain(claims.map(|claim| &claim["metadata"]["name"]))
        .any(|found| found == name)
}

/// The Secrets that controllers make of the objects, with their keys.
fn secrets_made(objects: &Objects) -> Vec<(String, String)> {
    let keys_of_certificates = ["tls.crt", "tls.key", "ca.crt"];
    let certificates = objects.of("Certificate").flat_map(|certificate| {
        let name = text(&certificate["spec"]["secretName"]);
        keys_of_certificates.map(|key| (name.to_owned(), key.to_owned()))
    });
    let external = objects.of("ExternalSecret").flat_map(|secret| {
        let target = &secret["spec"]["target"];
        let data = target["template"]["data"].as_object().into_iter().flatten();
        data.map(|(key, _)| (text(&target["name"]).to_owned(), key.clone()))
    });
    let clusters = objects.of("Cluster");
    let clusters = clusters.map(|cluster| {
        let authority = format!("{}-ca", objects::name(cluster));
        (authority, "ca.crt".to_owned())
    });
    certificates.chain(external).chain(clusters).collect()
}

fn makes(secrets: &[(String, String)], name: &Value, key: &Value) -> bool {
    secrets
        .iter()
        .any(|(made, with)| name == made && key == with)
}
