//! The image and what is expected of it agree.

use crate::objects::{Objects, root};

#[test]
fn the_dockerfile_builds_what_the_pods_run() {
    let read = |name| std::fs::read_to_string(root().join(name)).expect("a file");
    let (dockerfile, manifest) = (read("Dockerfile"), read("Cargo.toml"));
    let says = |line: &str| dockerfile.lines().any(|found| found.trim() == line);
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .map(|rest| rest.trim_end_matches('"'));
    let version = version.expect("the version of Rust");
    assert!(says(&format!("ARG RUST=rust:{version}-bookworm")));
    // The manifests ask PostgreSQL for `verify-full`.
    assert!(dockerfile.contains("--features postgres-tls"));
    let objects = Objects::render("production");
    for workload in objects.workloads() {
        let Some(clientele) = workload.clientele() else {
            continue;
        };
        let security = &workload.pod["securityContext"];
        let (user, group) = (&security["runAsUser"], &security["runAsGroup"]);
        assert!(says(&format!("USER {user}:{group}")), "{}", workload.name);
        assert!(clientele["command"].is_null(), "the image's own command");
    }
    assert!(says(r#"ENTRYPOINT ["/usr/local/bin/clientele"]"#));
}
