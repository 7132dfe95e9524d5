//! The arrows between crates: who may depend on whom, compared with the list in this file.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may use of the suite's own, in the order of the layers. A new arrow is a
/// decision: it is written here and explained in `docs/decisions`.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("policy", &["types"]),
    ("proto", &["types"]),
    ("store", &["types"]),
    ("serve", &["proto", "types"]),
    ("contacts", &["proto", "serve", "store", "types"]),
    ("pipeline", &["policy", "proto", "serve", "store", "types"]),
    ("billing", &["proto", "serve", "store", "types"]),
    ("relay", &["proto", "store", "types"]),
];

/// What a crate must never reach, however far away, in its ordinary dependencies.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("policy", &["tokio", "diesel", "tonic"]),
    ("store", &["tonic", "prost", "clientele-proto"]),
    ("serve", &["diesel"]),
    ("types", &["tokio", "diesel", "tonic"]),
];

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let listed: BTreeSet<String> = ARROWS.iter().map(|(name, _)| full(name)).collect();
    let libraries = metadata.workspace_packages().into_iter().filter(|package| {
        let folder = package
            .manifest_path
            .parent()
            .and_then(|folder| folder.parent());
        folder.is_some_and(|folder| folder.file_name() == Some("crates"))
    });
    // The binary may know them all.
    let found: BTreeSet<String> = libraries
        .map(|package| package.name.to_string())
        .filter(|name| name != "clientele")
        .collect();
    assert_eq!(found, listed, "each crate is listed");
    for (name, allowed) in ARROWS {
        let package = metadata
            .packages
            .iter()
            .find(|p| p.name.as_str() == full(name));
        let package = package.unwrap_or_else(|| panic!("there is no crate {name}"));
        let found: BTreeSet<String> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.name.starts_with("clientele-"))
            // A crate's tests may use the crate itself, with its testing feature.
            .filter(|dependency| dependency.name != full(name))
            .map(|dependency| dependency.name.clone())
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|name| full(name)).collect();
        let extra: Vec<_> = found.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} may not depend on {extra:?}");
        let unused: Vec<_> = allowed.difference(&found).collect();
        assert!(
            unused.is_empty(),
            "{name} has no use for its arrow to {unused:?}: remove it"
        );
    }
}

#[test]
fn no_crate_reaches_what_its_room_forbids() {
    let metadata = MetadataCommand::new().exec().expect("cargo metadata");
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let ordinary: BTreeMap<_, Vec<_>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    for (name, forbidden) in FORBIDDEN {
        let root = names
            .iter()
            .find(|(_, found)| **found == full(name))
            .expect("the crate")
            .0;
        let mut open = vec![*root];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&ordinary[id]);
            }
        }
        for id in seen {
            assert!(
                !forbidden.contains(&names[id]),
                "{name} reaches {}",
                names[id]
            );
        }
    }
}

fn full(name: &str) -> String {
    format!("clientele-{name}")
}
