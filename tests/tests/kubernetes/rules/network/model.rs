//! NetworkPolicies as the API defines them: a pod that a policy of a direction selects is closed in that
//! direction but for what some policy lets pass; a connection needs both its ends.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::parties::{Party, Place, home, is_selected};
use crate::objects::{Labels, Objects, list, text};

/// The ports that are tried, beside those that pods have.
const PORTS: &[(&str, i64)] = &[
    ("UDP", 53),
    ("TCP", 53),
    ("TCP", 22),
    ("TCP", 80),
    ("TCP", 443),
    ("TCP", 4222),
    ("TCP", 4317),
    ("TCP", 5432),
    ("TCP", 6222),
    ("TCP", 6443),
    ("TCP", 8000),
    ("TCP", 8222),
    ("TCP", 9464),
    ("TCP", 50050),
    ("TCP", 50051),
];

/// One direction of traffic, by the words of a policy.
struct Direction {
    name: &'static str,
    rules: &'static str,
    peers: &'static str,
}

const INGRESS: Direction = Direction {
    name: "Ingress",
    rules: "ingress",
    peers: "from",
};
const EGRESS: Direction = Direction {
    name: "Egress",
    rules: "egress",
    peers: "to",
};

/// Every connection that is possible and has an end in the installation.
pub fn reachable(objects: &Objects, parties: &[Party<'_>]) -> BTreeSet<String> {
    let policies: Vec<&Value> = objects.of("NetworkPolicy").collect();
    let home = home(objects);
    let mut found = BTreeSet::new();
    for from in parties {
        for to in parties.iter().filter(|to| from.is_own() || to.is_own()) {
            for &(protocol, port) in PORTS {
                let asked = (protocol, port);
                let leaves = passes(&policies, &home, &EGRESS, (from, to), to, asked);
                let enters = passes(&policies, &home, &INGRESS, (to, from), to, asked);
                if leaves && enters {
                    found.insert(format!("{} > {}: {protocol} {port}", from.name, to.name));
                }
            }
        }
    }
    found
}

/// Whether the policies that select `here` let a connection with `there` pass, to a port of `server`.
fn passes(
    policies: &[&Value],
    home: &Labels,
    direction: &Direction,
    (here, there): (&Party<'_>, &Party<'_>),
    server: &Party<'_>,
    asked: (&str, i64),
) -> bool {
    let Place::Own(labels, _) = &here.place else {
        return true;
    };
    let mut selecting = policies
        .iter()
        .map(|policy| &policy["spec"])
        .filter(|spec| {
            let types = list(&spec["policyTypes"]);
            types.iter().any(|named| named == direction.name)
                && is_selected(&spec["podSelector"], labels)
        });
    let mut closed = false;
    let open = selecting.any(|spec| {
        closed = true;
        list(&spec[direction.rules]).iter().any(|rule| {
            is_peer(&rule[direction.peers], home, there) && is_port(&rule["ports"], server, asked)
        })
    });
    open || !closed
}

/// Whether a rule is about this party; one that names nobody is about everyone.
fn is_peer(peers: &Value, home: &Labels, party: &Party<'_>) -> bool {
    peers.is_null()
        || list(peers).iter().any(|peer| {
            let namespace = &peer["namespaceSelector"];
            let in_namespace = |labels| namespace.is_null() || is_selected(namespace, labels);
            let pods = &peer["podSelector"];
            match &party.place {
                Place::Address(address) => is_within(&peer["ipBlock"], *address),
                // Whether blocks match pods is left to the network; ours are of addresses outside.
                _ if !peer["ipBlock"].is_null() => false,
                Place::Own(labels, _) => in_namespace(home) && is_selected(pods, labels),
                Place::Elsewhere(around, labels) => {
                    !namespace.is_null() && in_namespace(around) && is_selected(pods, labels)
                }
            }
        })
}

/// Whether a rule is about this port; one that names none is about all.
fn is_port(ports: &Value, server: &Party<'_>, (protocol, port): (&str, i64)) -> bool {
    ports.is_null()
        || list(ports).iter().any(|open| {
            let number = open["port"].as_i64().or_else(|| match &server.place {
                Place::Own(_, Some(workload)) => workload.port(&open["port"]),
                _ => None,
            });
            open["protocol"] == protocol && (open["port"].is_null() || number == Some(port))
        })
}

fn is_within(block: &Value, address: IpAddr) -> bool {
    let excepted = list(&block["except"]).iter();
    contains(text(&block["cidr"]), address)
        && !excepted
            .into_iter()
            .any(|block| contains(text(block), address))
}

/// Whether a block such as `10.0.0.0/8` has an address.
fn contains(block: &str, address: IpAddr) -> bool {
    let Some((base, length)) = block.split_once('/') else {
        return false;
    };
    let base: IpAddr = base.parse().expect("the address of a block");
    let length: u32 = length.parse().expect("the length of a block");
    let (base, address, bits) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (
            u128::from(base.to_bits()),
            u128::from(address.to_bits()),
            32,
        ),
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let beyond = bits - length;
    base.checked_shr(beyond) == address.checked_shr(beyond)
}
