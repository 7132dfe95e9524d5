//! What kustomize makes of an overlay, and how tests look into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The overlays, each of which is a whole installation.
pub const OVERLAYS: [&str; 3] = ["dev", "staging", "production"];

/// The objects of an installation.
#[derive(Clone)]
pub struct Objects(pub Vec<Value>);

/// A workload of the installation, seen as the pods that it makes.
pub struct Workload<'a> {
    /// Its kind and name, such as `Deployment/contacts`.
    pub name: String,
    /// The object itself.
    pub object: &'a Value,
    /// What its pods are.
    pub pod: &'a Value,
    /// The labels of its pods.
    pub labels: Labels,
}

/// Labels, or a selector's `matchLabels`.
pub type Labels = BTreeMap<String, String>;

impl Objects {
    /// Renders an overlay.
    ///
    /// # Panics
    ///
    /// Panics where kustomize is not there, or refuses.
    pub fn render(overlay: &str) -> Self {
        let folder = root().join("k8s/overlays").join(overlay);
        let rendered = Command::new(kustomize()).arg("build").arg(&folder).output();
        let rendered = rendered.expect("kustomize");
        let told = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{overlay}: {told}");
        assert_eq!(told, "", "{overlay} is rendered without a warning");
        let text = String::from_utf8(rendered.stdout).expect("UTF-8");
        Self(serde_saphyr::from_multiple(&text).expect("YAML"))
    }

    /// The objects of a kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The object of a kind and name.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of(kind).find(|object| self::name(object) == name)
    }

    /// Whatever makes pods.
    pub fn workloads(&self) -> Vec<Workload<'_>> {
        let makes_pods = ["Deployment", "StatefulSet", "Job"];
        let all = self.0.iter().filter(|object| {
            let kind = object["kind"].as_str();
            kind.is_some_and(|kind| makes_pods.contains(&kind))
        });
        all.map(|object| Workload {
            name: full_name(object),
            object,
            pod: &object["spec"]["template"]["spec"],
            labels: labels(&object["spec"]["template"]["metadata"]["labels"]),
        })
        .collect()
    }

    /// The environment of a container as it is written, settings of the ConfigMaps included; what
    /// comes from a Secret as `None`.
    pub fn environment(&self, container: &Value) -> BTreeMap<String, Option<String>> {
        let maps = list(&container["envFrom"]).iter().filter_map(|source| {
            let name = source["configMapRef"]["name"].as_str()?;
            self.get("ConfigMap", name)
        });
        let mut environment: BTreeMap<_, _> = maps
            .flat_map(|map| labels(&map["data"]))
            .map(|(name, value)| (name, Some(value)))
            .collect();
        for variable in list(&container["env"]) {
            let name = text(&variable["name"]).to_owned();
            let value = variable["value"].as_str().map(str::to_owned);
            environment.insert(name, value);
        }
        environment
    }
}

impl Workload<'_> {
    /// The containers of its pods.
    pub fn containers(&self) -> impl Iterator<Item = &Value> {
        let of = |name: &str| list(&self.pod[name]);
        of("initContainers").iter().chain(of("containers"))
    }

    /// The container that runs the suite's own binary, if there is one.
    pub fn clientele(&self) -> Option<&Value> {
        self.containers()
            .find(|container| container["name"] == "clientele")
    }

    /// The number of a port of its pods, by number or by name.
    pub fn port(&self, port: &Value) -> Option<i64> {
        let mut ports = self
            .containers()
            .flat_map(|container| list(&container["ports"]));
        let found = ports.find(|offered| {
            offered["name"] == *port || (port.is_i64() && offered["containerPort"] == *port)
        });
        found.and_then(|offered| offered["containerPort"].as_i64())
    }
}

/// Whether labels have all of what a selector asks for.
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    let mut asked = selector.iter();
    asked.all(|(name, value)| labels.get(name) == Some(value))
}

/// The texts of a mapping.
pub fn labels(mapping: &Value) -> Labels {
    let entries = mapping.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

/// The members of a list; none of what is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty where it is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// The kind and name of an object.
pub fn full_name(object: &Value) -> String {
    format!("{}/{}", text(&object["kind"]), name(object))
}

fn kustomize() -> PathBuf {
    let installed = root().join("target/tools/bin/kustomize");
    assert!(
        installed.is_file(),
        "kustomize is not installed: ./dev test does it, and so does ./dev kubernetes"
    );
    installed
}

/// The folder of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the repository").to_owned()
}
