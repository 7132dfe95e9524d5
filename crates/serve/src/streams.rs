//! When a server stream must end although its client would go on: rotation, shutdown, and the end of
//! the token that opened it.
//!
//! Streams are ended by the server itself, with a status that tells the client to come back with
//! its resume token: proxies and load balancers cut idle streams without a word, new replicas get
//! load only when old streams end, and a graceful shutdown waits for open streams for ever.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use types::Micros;

use crate::identity::Fault;
use crate::refusals;
use crate::rpcs::Rpc;

/// The mean age at which a Watch is ended so that its client connects anew.
pub const ROTATION: Duration = Duration::from_mins(30);

/// The largest part of [`ROTATION`] by which a stream ends sooner or later than the mean, so that
/// streams opened together do not come back together.
const ROTATION_JITTER: f64 = 0.2;

/// The shutdown of a server as its streams see it.
///
/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    closing: CancellationToken,
}

impl Shutdown {
    /// A shutdown that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it: endless streams end now.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// The grace is nearly over: finite streams end too.
    pub(crate) fn close(&self) {
        self.begin();
        self.closing.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until it begins. Background tasks of a service end on this.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }
}

/// The moment one server stream must end.
///
/// The stack ends every stream by itself; an implementation that `select!`s on [`Rotation::ended`]
/// only gets to stop its own work a little earlier.
#[derive(Clone, Debug)]
pub struct Rotation {
    shutdown: Shutdown,
    at: Option<Instant>,
    rpc: Option<Arc<Rpc>>,
    expiry: Arc<OnceLock<Expiry>>,
}

/// The end of a token.
#[derive(Debug)]
struct Expiry {
    /// The `exp` that it tells.
    told: Micros,
    /// When it is over here, by the timer of streams.
    over: Instant,
}

impl Rotation {
    /// A rotation of an endless stream about `age` from now, or at the shutdown's beginning.
    pub fn after(age: Duration, shutdown: Shutdown) -> Self {
        let factor = rand::random_range(1.0 - ROTATION_JITTER..=1.0 + ROTATION_JITTER);
        Self {
            shutdown,
            at: Some(Instant::now() + age.mul_f64(factor)),
            rpc: None,
            expiry: Arc::default(),
        }
    }

    /// For a stream that ends by itself: never rotated, cut only when its token is over or just before
    /// the grace is.
    pub(crate) fn at_close(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            at: None,
            rpc: None,
            expiry: Arc::default(),
        }
    }

    /// The same, for a stream of `rpc`.
    pub(crate) fn of(self, rpc: Arc<Rpc>) -> Self {
        Self {
            rpc: Some(rpc),
            ..self
        }
    }

    /// The stream is opened with a token whose `exp` is `told` and that is over in `left`: whoever
    /// holds it may not read on after that.
    pub(crate) fn expire(&self, told: Micros, left: Duration) {
        if let Some(over) = Instant::now().checked_add(left) {
            // One call has one token.
            let _ = self.expiry.set(Expiry { told, over });
        }
    }

    /// Waits until the stream must end and answers the status to end it with: UNAVAILABLE with
    /// `STREAM_ROTATED` or `SHUTTING_DOWN`, and RetryInfo; or UNAUTHENTICATED with `TOKEN_EXPIRED`.
    pub async fn ended(&self) -> Status {
        tokio::select! {
            biased;
            status = self.stopped() => status,
            status = self.expired() => status,
            status = self.rotated() => status,
        }
    }

    /// Waits until the shutdown ends the stream, whether it is open or not, and answers the status.
    pub(crate) async fn stopped(&self) -> Status {
        let stop = match self.at {
            Some(_) => &self.shutdown.begun,
            None => &self.shutdown.closing,
        };
        stop.cancelled().await;
        refusals::shutting_down(self.rpc.as_deref().map_or("unknown", Rpc::service))
    }

    async fn expired(&self) -> Status {
        let Some(expiry) = self.expiry.get() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(expiry.over).await;
        Fault::Expired(expiry.told).into()
    }

    async fn rotated(&self) -> Status {
        let Some(at) = self.at else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(at).await;
        refusals::stream_rotated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    fn reason(status: &Status) -> String {
        status
            .get_details_error_info()
            .expect("has ErrorInfo")
            .reason
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_stream_is_rotated_around_the_mean_age() {
        let opened = Instant::now();
        let status = Rotation::after(ROTATION, Shutdown::new()).ended().await;
        let age = opened.elapsed().as_secs_f64() / ROTATION.as_secs_f64();
        assert!((0.79..=1.21).contains(&age), "{age}");
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert_eq!(reason(&status), "STREAM_ROTATED");
        assert!(status.get_details_retry_info().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn no_stream_outlives_the_token_that_opened_it() {
        let (told, left) = (Micros(1_800_000_000_000_000), Duration::from_mins(1));
        let shutdown = Shutdown::new();
        for rotation in [
            Rotation::after(ROTATION, shutdown.clone()),
            Rotation::at_close(shutdown.clone()),
        ] {
            // What the handler was given knows of a token that was looked up late.
            let handed_on = rotation.clone();
            rotation.expire(told, left);
            let begun = Instant::now();
            let status = handed_on.ended().await;
            assert_eq!(begun.elapsed().as_secs(), left.as_secs());
            assert_eq!(status.code(), tonic::Code::Unauthenticated);
            assert_eq!(reason(&status), "TOKEN_EXPIRED");
            let metadata = proto::status::metadata(&status);
            assert_eq!(metadata["expire_time"], "2027-01-15T08:00:00Z");
        }
        let rotation = Rotation::after(ROTATION, shutdown);
        rotation.expire(told, ROTATION * 10);
        assert_eq!(reason(&rotation.ended().await), "STREAM_ROTATED");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_endless_streams_at_once_and_finite_ones_at_close() {
        let shutdown = Shutdown::new();
        let endless = Rotation::after(ROTATION, shutdown.clone());
        let finite = Rotation::at_close(shutdown.clone());
        shutdown.begin();
        assert_eq!(reason(&endless.ended().await), "SHUTTING_DOWN");
        assert!(
            tokio::time::timeout(ROTATION * 2, finite.ended())
                .await
                .is_err()
        );
        shutdown.close();
        assert_eq!(reason(&finite.ended().await), "SHUTTING_DOWN");
    }
}
