//! What is measured of a relay: events of the target `clientele::metric`, which whoever runs the process
//! turns into metrics.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use types::{Clock, Service};

use crate::kinds::word;
use crate::progress::Progress;

/// The target of events that are metrics.
const TARGET: &str = "clientele::metric";

/// How often it is told how far the relay is.
const PERIOD: Duration = Duration::from_secs(5);

/// Tells again and again how far a relay is; also while another process relays, which has nothing to do
/// with what this one told before.
pub(crate) async fn tell(
    service: Service,
    progress: watch::Receiver<Progress>,
    clock: Clock,
) -> Infallible {
    let service = word(service);
    loop {
        let now = *progress.borrow();
        tracing::trace!(
            target: TARGET,
            metric = "clientele.events.lag",
            value = now.lag(clock.now()).as_secs_f64(),
            clientele.service = service,
        );
        tracing::trace!(
            target: TARGET,
            metric = "clientele.events.parked",
            value = now.parked,
            clientele.service = service,
        );
        tokio::time::sleep(PERIOD).await;
    }
}
