//! Publishes what happens in a service to NATS JetStream, as CloudEvents: whoever has the bus need not
//! follow a Watch.
//!
//! A [`Relay`] follows the change log of one service, in one process at a time. It publishes each change
//! at least once, with an id by which the stream recognises repetitions, and the changes of one contact
//! in the log's order, the next when the one before is acknowledged. While the bus is away the log is
//! kept; a change that can't be published for what it is parks only its contact.
//!
//! ```no_run
//! # async fn start(contacts: store::Store) -> Result<(), relay::SettingError> {
//! let bus = relay::Bus::connect(relay::Settings::new("nats://127.0.0.1:4222")?).await?;
//! let (clock, ids) = (types::Clock::system(), types::Ids::system());
//! let relay = relay::Relay::new(contacts, types::Service::Contacts, bus, clock);
//! let stop = async { let _ = tokio::signal::ctrl_c().await; };
//! relay.run(&ids.next(), stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: no service is known here, only its log and its messages.

mod bus;
mod event;
mod kinds;
mod lanes;
mod measures;
mod parked;
mod progress;
mod publisher;
mod relay;
mod schema;
mod settings;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
pub mod upkeep;

pub use bus::Bus;
pub use kinds::{Kind, kinds};
pub use parked::Parked;
pub use progress::Progress;
pub use relay::Relay;
pub use settings::{Format, Setting, SettingError, Settings};
