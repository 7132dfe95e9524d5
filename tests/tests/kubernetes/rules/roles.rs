//! Services connect to their databases as roles that own nothing.

use serde_json::Value;

use super::Findings;
use super::settings::secret_at;
use crate::objects::{Objects, list, text};

/// Whom a workload connects to its database as.
#[derive(Default)]
struct Login<'a> {
    secret: &'a str,
    role: &'a str,
}

/// A service and its migrations have a role and a Secret each. That of the migrations owns the database,
/// and lets the service's use it; no service has the owner's Secret.
pub fn roles(objects: &Objects) -> Vec<String> {
    let mut findings = Findings::new();
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele().filter(|c| c["args"][0] == "serve") else {
            continue;
        };
        let mut require = |good, problem: &str| findings.require(good, &workload.name, problem);
        let service = text(&clientele["args"][1]);
        let Some(job) = objects.get("Job", &format!("{service}-migrate")) else {
            require(false, "has a migration");
            continue;
        };
        let job = &job["spec"]["template"]["spec"];
        let own = login(objects, workload.pod, clientele);
        let owner = login(objects, job, &job["containers"][0]);
        require(own.role != owner.role, "does not connect as the owner");
        let environment = objects.environment(&job["containers"][0]);
        let granted = environment.get("CLIENTELE_GRANT_TO").cloned().flatten();
        require(granted.as_deref() == Some(own.role), "CLIENTELE_GRANT_TO");
        let mut volumes = list(&workload.pod["volumes"]).iter();
        let knows = volumes.any(|volume| volume["secret"]["secretName"] == owner.secret);
        require(!knows, "has not the owner's Secret");
        let database = objects.get("Database", service);
        let owned_by = database.map_or("", |found| text(&found["spec"]["owner"]));
        require(owned_by == owner.role && !owned_by.is_empty(), "owner");
        for cluster in objects.of("Cluster") {
            let spec = &cluster["spec"];
            for login in [&own, &owner] {
                require(is_managed(spec, login), "is a managed role");
            }
            let gate = format!(
                "hostssl {service} {},{} all scram-sha-256",
                owner.role, own.role
            );
            let rules = list(&spec["postgresql"]["pg_hba"]);
            require(rules.contains(&Value::from(gate)), "pg_hba");
        }
    }
    findings.all()
}

/// The Secret that the URL of a container's database comes from, and the role in it.
fn login<'a>(objects: &'a Objects, pod: &'a Value, container: &Value) -> Login<'a> {
    let environment = objects.environment(container);
    let file = environment.get("CLIENTELE_DATABASE_URL_FILE");
    let file = file.cloned().flatten().unwrap_or_default();
    let Some(secret) = secret_at(pod, container, &file) else {
        return Login::default();
    };
    let made = objects.get("ExternalSecret", secret);
    let data = made.map_or(
        &Value::Null,
        |made| &made["spec"]["target"]["template"]["data"],
    );
    let role = text(&data["username"]);
    let is_of_role = text(&data["url"]).starts_with(&format!("postgres://{role}:"));
    Login {
        secret,
        role: if is_of_role { role } else { "" },
    }
}

/// Whether the operator makes the role with the password of that Secret, and with no right that lets it
/// see through the walls between workspaces.
fn is_managed(cluster: &Value, login: &Login<'_>) -> bool {
    let mut roles = list(&cluster["managed"]["roles"]).iter();
    roles.any(|role| {
        let more = ["superuser", "bypassrls", "createrole"];
        role["name"] == login.role
            && role["passwordSecret"]["name"] == login.secret
            && more.iter().all(|right| role[right].is_null())
            && list(&role["inRoles"])
                .iter()
                .all(|group| group == "pg_read_all_stats")
    })
}
