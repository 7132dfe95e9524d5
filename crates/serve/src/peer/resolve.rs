//! Where the addresses of a peer come from: a name that stands for several replicas is looked up again
//! and again.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;

use super::link::Link;

/// How often a name is looked up. Headless Services of Kubernetes answer for as long at most.
const PERIOD: Duration = Duration::from_secs(5);

type Lookup = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Looks up the addresses of a host and a port.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    period: Duration,
}

impl Resolver {
    /// The system's, asked every five seconds.
    #[must_use]
    pub fn system() -> Self {
        Self::new(PERIOD, |host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        })
    }

    /// One of one's own, such as a test's, asked every `period`.
    pub fn new<F>(period: Duration, lookup: F) -> Self
    where
        F: Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>
            + Send
            + Sync
            + 'static,
    {
        Self {
            lookup: Arc::new(lookup),
            period,
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// Keeps the addresses of a link as its name says, until the link is gone. An address that was written
/// as a number says nothing else, and `localhost` is one machine, whatever addresses it has.
pub(super) fn keep(link: &Arc<Link>, resolver: Resolver) {
    let (host, port) = link.place();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_err() && bare != "localhost" {
        tokio::spawn(follow(
            Arc::downgrade(link),
            resolver,
            host.to_owned(),
            port,
        ));
    }
}

async fn follow(link: Weak<Link>, resolver: Resolver, host: String, port: u16) {
    loop {
        match (resolver.lookup)(host.clone(), port).await {
            Ok(found) => {
                let Some(link) = link.upgrade() else {
                    return;
                };
                link.follow(&found).await;
            }
            // Those that are known go on: a resolver that is away takes no replica with it.
            Err(error) => tracing::debug!(%error, "the addresses of a peer can't be looked up"),
        }
        tokio::time::sleep(resolver.period).await;
        if link.strong_count() == 0 {
            return;
        }
    }
}
