//! The network plumbing of every service: the tower stack, deadlines, health, telemetry, the drain,
//! and channels to peers.
//!
//! A server is a [`Server`] bound to an address, given its [`Services`], and run until a shutdown:
//!
//! ```no_run
//! # async fn start() -> Result<(), serve::ServerError> {
//! let server = serve::Server::bind(serve::Config::default()).await?;
//! println!("listening on {}", server.address());
//! let services = serve::Services::new(); // .with(ContactServiceServer::new(...))
//! server.run(services, async { let _ = tokio::signal::ctrl_c().await; }).await
//! # }
//! ```
//!
//! A handler asks what the stack knows about its call: [`deadline`], [`caller`], [`rotation`].
//!
//! Runtime: tokio's multi-thread runtime with one worker per core, its default. The stack allocates
//! six small things per unary call and touches no timer for a call that never waits, so what bounds
//! a server is HTTP/2 itself (`examples/empty_call.rs` measures it). A handler that computes or reads
//! for less than about 100 us does so on its worker: moving it costs more. Whatever may block longer,
//! such as a commit, goes to a thread of its own.
//!
//! Invariant: no domain noun and no database here. Layers see undecoded bytes; whatever needs the
//! decoded request is generated in `proto`.

mod bind;
mod caller;
mod codes;
mod complaint;
mod config;
mod connections;
mod current;
pub mod freshness;
mod health;
pub mod identity;
mod layers;
mod load;
pub mod peer;
mod probes;
mod refusals;
mod rpcs;
mod server;
mod services;
mod stack;
mod streams;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
mod trace_context;

pub use bind::{NotLoopback, Protection};
pub use caller::{Caller, LOCAL, LocalAdmission, caller, permissions};
pub use config::{Concurrency, Config, Limits};
pub use freshness::{wait_fresh, wait_until};
pub use health::Health;
pub use identity::{Authenticator, Identity};
pub use layers::{deadline, rotation};
pub use load::{aside, at_work};
pub use opentelemetry::trace::TraceId;
pub use peer::{Credential, Peer};
pub use server::{Server, ServerError};
pub use services::Services;
pub use streams::{ROTATION, Rotation, Shutdown};
