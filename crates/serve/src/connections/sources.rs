//! How many connections each address has: one that opens all it can leaves places to others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bits of an IPv6 address that tell one network from another: who has one has all of its addresses.
const NETWORK: u128 = !0 << 64;

/// The addresses that have connections.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// Connections of one address; 0 is no limit.
    max: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Sources {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            counts: Arc::default(),
        }
    }

    /// One more connection of this address; `None` where it has too many.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Source> {
        let address = network(address);
        let mut counts = self.counts();
        let count = counts.entry(address).or_insert(0);
        if self.max > 0 && *count >= self.max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Source {
            address,
            sources: self.clone(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a connection comes from. Dropping it counts one less.
#[derive(Debug)]
pub(super) struct Source {
    address: IpAddr,
    sources: Sources,
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut counts = self.sources.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_network_has_its_own_and_gets_them_back() {
        let sources = Sources::new(2);
        for one in ["10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1"] {
            let held = [sources.enter(address(one)), sources.enter(address(one))];
            assert!(held.iter().all(Option::is_some), "{one}");
            assert!(sources.enter(address(one)).is_none(), "{one}");
            assert!(sources.enter(address("10.0.0.3")).is_some());
            drop(held);
            assert!(sources.enter(address(one)).is_some(), "{one}");
        }
        let held = sources.enter(address("2001:db8::1"));
        let neighbour = sources.enter(address("2001:db8::ffff:1"));
        assert!(sources.enter(address("2001:db8::2")).is_none());
        assert!(sources.enter(address("2001:db8:0:1::2")).is_some());
        drop((held, neighbour));
        assert!(sources.counts().is_empty(), "those that have gone");
    }

    #[test]
    fn none_is_no_limit() {
        let sources = Sources::new(0);
        let held: Vec<_> = (0..100)
            .map(|_| sources.enter(address("10.0.0.1")))
            .collect();
        assert!(held.iter().all(Option::is_some));
    }
}
