//! What a pod may do: nothing that the restricted level of pod security does not allow, and less.

use serde_json::{Value, json};

use super::Findings;
use crate::objects::{Objects, list, name, text};

/// The API server enforces the restricted level in every namespace of the installation.
pub fn namespace(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    let namespaces: Vec<_> = objects.of("Namespace").collect();
    findings.require(namespaces.len() == 1, "installation", "has one namespace");
    for namespace in namespaces {
        for mode in ["enforce", "audit", "warn"] {
            let label = format!("pod-security.kubernetes.io/{mode}");
            let level = &namespace["metadata"]["labels"][&label];
            findings.require(level == "restricted", name(namespace), &label);
        }
    }
    let home = objects.of("Namespace").next().map_or("", name);
    for object in &objects.0 {
        let namespace = &object["metadata"]["namespace"];
        let good = object["kind"] == "Namespace" || namespace == home;
        findings.require(good, name(object), "is in the namespace");
    }
    findings.all()
}

/// Pods run as nobody in particular, without a token of the API server and without the host.
pub fn pods(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        let (pod, security) = (workload.pod, &workload.pod["securityContext"]);
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        require(security["runAsNonRoot"] == true, "runAsNonRoot");
        let user = security["runAsUser"].as_i64();
        require(user.is_some_and(|user| user > 0), "runAsUser");
        let profile = &security["seccompProfile"]["type"];
        require(profile == "RuntimeDefault", "seccompProfile");
        let token = &pod["automountServiceAccountToken"];
        require(token == false, "automountServiceAccountToken");
        require(pod["enableServiceLinks"] == false, "enableServiceLinks");
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            require(pod[shared].is_null(), shared);
        }
        let volumes = list(&pod["volumes"]).iter();
        let of_host = volumes.filter(|volume| !volume["hostPath"].is_null());
        require(of_host.count() == 0, "hostPath");
        let account = objects.get("ServiceAccount", text(&pod["serviceAccountName"]));
        let own = account.is_some_and(|account| account["automountServiceAccountToken"] == false);
        require(own, "has a ServiceAccount of its own, without a token");
    }
    findings.all()
}

/// Containers write to no root file system and gain no privilege.
pub fn containers(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        for container in workload.containers() {
            let security = &container["securityContext"];
            let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
            let escalation = &security["allowPrivilegeEscalation"];
            require(escalation == false, "allowPrivilegeEscalation");
            let read_only = &security["readOnlyRootFilesystem"];
            require(read_only == true, "readOnlyRootFilesystem");
            let capabilities = &security["capabilities"];
            require(*capabilities == json!({"drop": ["ALL"]}), "capabilities");
            require(security["privileged"].is_null(), "privileged");
            require(security["runAsUser"].is_null(), "runAsUser of a container");
            let ports = list(&container["ports"]).iter();
            let of_host = ports.filter(|port| !port["hostPort"].is_null());
            require(of_host.count() == 0, "hostPort");
        }
    }
    findings.all()
}

/// Every container says what it needs, and at which memory it ends. None has a quota of processor
/// time, which would stop all its threads at once.
pub fn resources(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        for container in workload.containers() {
            let resources = &container["resources"];
            let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
            for needed in ["cpu", "memory", "ephemeral-storage"] {
                require(resources["requests"][needed].is_string(), needed);
            }
            for bound in ["memory", "ephemeral-storage"] {
                let limit = &resources["limits"][bound];
                require(limit.is_string(), &format!("limit of {bound}"));
            }
            require(resources["limits"]["cpu"] == Value::Null, "quota of cpu");
        }
    }
    findings.all()
}
