//! How much a server takes on at once.

use clap::Args;
use clap::builder::RangedU64ValueParser;

/// How much a server takes on before it refuses: the limits are each service's own, also in `up`.
#[derive(Debug, Args)]
pub struct Load {
    /// Calls of a service at once, of which lists and reports are at most half; further ones wait for
    /// their turn.
    #[arg(long, env = "CLIENTELE_CONCURRENCY_MAX", default_value_t = 256, value_parser = at_most(10_000))]
    pub concurrency_max: usize,
    /// Calls of a service that may wait for their turn; further ones are refused with OVERLOADED, lists
    /// first.
    #[arg(long, env = "CLIENTELE_QUEUE_MAX", default_value_t = 128, value_parser = at_most(10_000))]
    pub queue_max: usize,
    /// How long a call may wait for its turn, in milliseconds.
    #[arg(long, env = "CLIENTELE_QUEUE_WAIT_MS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub queue_wait_ms: u64,
    /// Open Watch streams and exports of a service.
    #[arg(long, env = "CLIENTELE_STREAMS_MAX", default_value_t = 1024, value_parser = at_most(100_000))]
    pub streams_max: usize,
    /// Connections of one address, of 4,096 in all; 0 is no limit. Where a balancer or proxy passes
    /// everybody's connections on under its own address, set what that may have.
    #[arg(long, env = "CLIENTELE_CONNECTIONS_PER_ADDRESS_MAX", default_value_t = 1024, value_parser = RangedU64ValueParser::<usize>::new().range(0..=100_000))]
    pub connections_per_address_max: usize,
}

fn at_most(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}
