//! What must be told in order: the changes of one contact, and those of one resource.
//!
//! A change has two lanes, its resource and its contact. That of the resource is always known; the
//! contact of a change that can't be read may not be, and then what happens to the resource later holds
//! the contact up.

use std::collections::HashMap;

use store::change_log::Change;
use types::Service;

use crate::kinds;

/// A change and whom it is about.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) change: Change,
    /// Empty where it is about nobody, or can't be told.
    pub(crate) contact: String,
}

impl Item {
    pub(crate) fn of(service: Service, change: Change) -> Self {
        let contact = kinds::kind(service, &change.kind)
            .and_then(|kind| (kind.contact)(&change))
            .unwrap_or_default();
        Self { change, contact }
    }

    /// The lanes that the change must keep its place in.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &str> {
        [self.change.resource.as_str(), self.contact.as_str()]
            .into_iter()
            .filter(|lane| !lane.is_empty())
    }
}

/// Splits items into chains that have no lane in common; each is in the order of the items.
pub(crate) fn chains(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut chains: Vec<Vec<Item>> = Vec::new();
    let mut chain_of: HashMap<String, usize> = HashMap::new();
    for item in items {
        let mut met: Vec<usize> = item
            .lanes()
            .filter_map(|lane| chain_of.get(lane).copied())
            .collect();
        met.sort_unstable();
        met.dedup();
        let chain = met.first().copied().unwrap_or(chains.len());
        if met.is_empty() {
            chains.push(Vec::new());
        }
        // Two chains that meet go on as one. They had nothing in common until now, so that one may come
        // before the other as a whole.
        for other in met.into_iter().skip(1) {
            let moved = std::mem::take(&mut chains[other]);
            chains[chain].extend(moved);
            for at in chain_of.values_mut().filter(|at| **at == other) {
                *at = chain;
            }
        }
        for lane in item.lanes() {
            chain_of.insert(lane.to_owned(), chain);
        }
        chains[chain].push(item);
    }
    chains.retain(|chain| !chain.is_empty());
    chains
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use store::change_log::LogPosition;
    use types::Micros;

    use super::*;

    fn item(id: i64, resource: u8, contact: Option<u8>) -> Item {
        Item {
            change: Change {
                position: LogPosition {
                    epoch: 1,
                    tx: id,
                    id,
                },
                last: true,
                workspace: "w".to_owned(),
                kind: "invoice.created".to_owned(),
                resource: format!("invoices/{resource}"),
                revision: 1,
                payload: Vec::new(),
                paths: String::new(),
                actor: String::new(),
                request_id: String::new(),
                event_id: id.to_string(),
                record_time: Micros(0),
            },
            contact: contact
                .map(|contact| format!("contacts/{contact}"))
                .unwrap_or_default(),
        }
    }

    proptest! {
        #[test]
        fn chains_keep_the_order_of_every_lane_and_share_none(
            shape in prop::collection::vec((0_u8..12, prop::option::of(0_u8..6)), 0..60),
        ) {
            let items: Vec<Item> = (1..)
                .zip(&shape)
                .map(|(id, (resource, contact))| item(id, *resource, *contact))
                .collect();
            let chains = chains(items.clone());
            prop_assert_eq!(chains.iter().map(Vec::len).sum::<usize>(), items.len());
            let mut seen: HashSet<String> = HashSet::new();
            for chain in &chains {
                let lanes: HashSet<String> =
                    chain.iter().flat_map(Item::lanes).map(str::to_owned).collect();
                prop_assert!(lanes.is_disjoint(&seen));
                for lane in &lanes {
                    let ids = |items: &[Item]| -> Vec<i64> {
                        items
                            .iter()
                            .filter(|item| item.lanes().any(|found| found == lane))
                            .map(|item| item.change.position.id)
                            .collect()
                    };
                    prop_assert_eq!(ids(chain), ids(&items));
                }
                seen.extend(lanes);
            }
        }
    }

    #[test]
    fn contacts_that_have_nothing_in_common_go_apart() {
        let items = vec![
            item(1, 1, Some(1)),
            item(2, 2, Some(2)),
            item(3, 1, Some(1)),
            item(4, 3, None),
        ];
        let lengths: Vec<usize> = chains(items).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1]);
    }
}
