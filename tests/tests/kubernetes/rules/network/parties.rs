//! Everyone who might call or be called: the pods of the installation, those around it, and addresses.

use std::net::IpAddr;

use crate::objects::{Labels, Objects, Workload, labels, name, selects};

/// Somebody in the network.
pub struct Party<'a> {
    /// Who it is.
    pub name: String,
    /// Where it is.
    pub place: Place<'a>,
}

/// Where somebody is.
pub enum Place<'a> {
    /// A pod of the installation's namespace, and what makes it where its ports are known.
    Own(Labels, Option<Workload<'a>>),
    /// A pod elsewhere: the labels of its namespace, and its own.
    Elsewhere(Labels, Labels),
    /// Nobody's pod.
    Address(IpAddr),
}

impl Party<'_> {
    /// Whether it is a pod of the installation's namespace.
    pub fn is_own(&self) -> bool {
        matches!(self.place, Place::Own(..))
    }
}

/// A label as it is written here.
type Label = (&'static str, &'static str);

/// Namespaces and pods around the installation, each with one that is almost like it.
const AROUND: &[(&str, &[Label], &[Label])] = &[
    ("caller", &[CALLERS], &[CALLER]),
    ("caller of an unknown namespace", &[], &[CALLER]),
    ("neighbour of a caller", &[CALLERS], &[]),
    ("dns", &[KUBE_SYSTEM], &[("k8s-app", "kube-dns")]),
    ("neighbour of dns", &[KUBE_SYSTEM], &[]),
    ("dns of another namespace", &[], &[("k8s-app", "kube-dns")]),
    ("database operator", &[CNPG_SYSTEM], &[CNPG]),
    ("neighbour of the operator", &[CNPG_SYSTEM], &[]),
    ("operator of another namespace", &[], &[CNPG]),
    ("prometheus", &[MONITORING], &[PROMETHEUS]),
    ("neighbour of prometheus", &[MONITORING], &[]),
    ("prometheus of another namespace", &[], &[PROMETHEUS]),
    ("namesake of billing", &[], &[BILLING, SERVICE]),
    ("stranger", &[], &[]),
];
const CALLERS: Label = ("clientele/callers", "true");
const CALLER: Label = ("clientele/caller", "true");
const KUBE_SYSTEM: Label = ("kubernetes.io/metadata.name", "kube-system");
const CNPG_SYSTEM: Label = ("kubernetes.io/metadata.name", "cnpg-system");
const CNPG: Label = ("app.kubernetes.io/name", "cloudnative-pg");
const MONITORING: Label = ("kubernetes.io/metadata.name", "monitoring");
const PROMETHEUS: Label = ("app.kubernetes.io/name", "prometheus");
const BILLING: Label = ("app.kubernetes.io/name", "billing");
const SERVICE: Label = ("app.kubernetes.io/component", "service");

/// Addresses that policies may mean or not.
const ADDRESSES: &[(&str, &str)] = &[
    ("internet", "203.0.113.7"),
    ("internet", "2001:db8::7"),
    ("private network", "10.1.2.3"),
    ("private network", "fd00::7"),
    ("metadata of the cloud", "169.254.169.254"),
];

/// All of them.
pub fn parties(objects: &Objects) -> Vec<Party<'_>> {
    let workloads = objects.workloads().into_iter().map(|workload| Party {
        name: workload.name.clone(),
        place: Place::Own(workload.labels.clone(), Some(workload)),
    });
    let clusters = objects.of("Cluster").map(|cluster| Party {
        name: format!("Cluster/{}", name(cluster)),
        // What the operator gives its pods.
        place: Place::Own(written(&[("cnpg.io/cluster", name(cluster))]), None),
    });
    let stray = [
        ("a pod of the namespace", vec![]),
        ("a caller within", vec![CALLER]),
    ];
    let stray = stray.into_iter().map(|(name, labels)| Party {
        name: name.to_owned(),
        place: Place::Own(written(&labels), None),
    });
    let around = AROUND.iter().map(|(name, namespace, pod)| Party {
        name: (*name).to_owned(),
        place: Place::Elsewhere(written(namespace), written(pod)),
    });
    let addresses = ADDRESSES.iter().map(|(name, address)| Party {
        name: (*name).to_owned(),
        place: Place::Address(address.parse().expect("an address")),
    });
    let all = workloads.chain(clusters).chain(stray).chain(around);
    all.chain(addresses).collect()
}

/// The labels of the installation's own namespace.
pub fn home(objects: &Objects) -> Labels {
    let namespace = objects.of("Namespace").next().expect("a namespace");
    let mut home = labels(&namespace["metadata"]["labels"]);
    home.insert(
        "kubernetes.io/metadata.name".to_owned(),
        name(namespace).to_owned(),
    );
    home
}

/// Whether a label selector, expressions included, selects these labels.
pub fn is_selected(selector: &serde_json::Value, found: &Labels) -> bool {
    let expressions = crate::objects::list(&selector["matchExpressions"]);
    selects(&labels(&selector["matchLabels"]), found)
        && expressions.iter().all(|expression| {
            assert_eq!(expression["operator"], "In", "the model knows no other");
            let key = crate::objects::text(&expression["key"]);
            let mut values = crate::objects::list(&expression["values"]).iter();
            values.any(|value| found.get(key).is_some_and(|found| value == found))
        })
}

fn written(labels: &[(&str, &str)]) -> Labels {
    let labels = labels.iter();
    labels
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
