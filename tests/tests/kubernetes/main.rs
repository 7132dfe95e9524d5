//! The manifests of Kubernetes, rendered as they are applied: every overlay keeps every rule, and every
//! rule can be broken; and pods run as they are written.

mod bus;
mod cluster;
mod image;
mod mutations;
mod objects;
mod rollout;
mod rules;
mod servers;

use objects::{OVERLAYS, Objects};
use rules::RULES;

#[test]
fn every_overlay_keeps_every_rule() {
    let mut broken = Vec::new();
    for overlay in OVERLAYS {
        let objects = Objects::render(overlay);
        for (rule, check) in RULES {
            let found = check(&objects).into_iter();
            broken.extend(found.map(|problem| format!("{overlay}: {rule}: {problem}")));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
