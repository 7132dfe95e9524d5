//! Health of a server and of its services (`grpc.health.v1`).
//!
//! The empty service name is the liveness of the process: SERVING from start to end, for nothing a
//! restart of this process can't mend may restart it. A service's own name is its readiness: off while
//! the service can't do its work, while no token can be judged, and from the moment on at which the
//! server begins to shut down.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

/// How often a service is asked whether it can do its work.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to say so.
const CHECK_TIME: Duration = Duration::from_secs(2);

/// How many checks must fail, one after the other, for a service to be taken out: one alone may be a
/// connection that broke, or a moment of load, which taking it out would only move to others.
const FAILURES_MAX: u32 = 3;

/// Sets readiness. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    services: Vec<(&'static str, bool)>,
    /// Nobody can be told apart yet.
    withheld: bool,
    draining: bool,
}

impl Health {
    /// Health of a server without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether `service` (its full proto name) can do its work now: its database answers, its
    /// migrations are in. During a shutdown it stays NOT_SERVING, whatever is set.
    pub async fn set_ready(&self, service: &'static str, ready: bool) {
        let mut state = self.state.lock().await;
        match state.services.iter_mut().find(|(name, _)| *name == service) {
            Some((_, set)) => *set = ready,
            None => state.services.push((service, ready)),
        }
        self.report(&state).await;
    }

    /// Keeps `services` ready as long as `check` says that they can do their work. It is asked every
    /// second and may take two; three refusals in a row make them not ready, the first yes makes them
    /// ready again. Never ends by itself.
    pub async fn keep<C, F>(&self, services: &[&'static str], check: C)
    where
        C: Fn() -> F,
        F: Future<Output = bool>,
    {
        let mut failures = 0;
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let good = tokio::time::timeout(CHECK_TIME, check()).await;
            let good = good.unwrap_or(false);
            if good && failures >= FAILURES_MAX {
                tracing::info!(?services, "ready again");
                self.set_all(services, true).await;
            }
            failures = if good { 0 } else { failures + 1 };
            if failures == FAILURES_MAX {
                tracing::warn!(
                    ?services,
                    "not ready: what the services need does not answer"
                );
                self.set_all(services, false).await;
            }
        }
    }

    async fn set_all(&self, services: &[&'static str], ready: bool) {
        for service in services {
            self.set_ready(service, ready).await;
        }
    }

    /// Reports these services as not ready until they are announced, whatever is set.
    pub(crate) async fn withhold(&self, services: &[&'static str]) {
        let mut state = self.state.lock().await;
        state.withheld = true;
        state.add(services);
        self.report(&state).await;
    }

    /// Reports these services as they were set; those that nobody has said anything about are ready.
    pub(crate) async fn announce(&self, services: &[&'static str]) {
        let mut state = self.state.lock().await;
        state.withheld = false;
        state.add(services);
        self.report(&state).await;
    }

    /// Readiness off, for good.
    pub(crate) async fn drain(&self) {
        let mut state = self.state.lock().await;
        state.draining = true;
        self.report(&state).await;
    }

    /// The rpc service that tells.
    pub(crate) fn service(&self) -> HealthService {
        HealthService::from_health_reporter(self.reporter.clone())
    }

    async fn report(&self, state: &State) {
        for (service, ready) in &state.services {
            let status = if *ready && !state.withheld && !state.draining {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            self.reporter.set_service_status(service, status).await;
        }
    }
}

impl State {
    /// Adds the services that nobody has said anything about as ready.
    fn add(&mut self, services: &[&'static str]) {
        for service in services {
            if self.services.iter().all(|(name, _)| name != service) {
                self.services.push((service, true));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    const SERVICE: &str = "serve.test.v1.Probe";

    async fn is_ready(health: &Health) -> bool {
        let service = SERVICE.to_owned();
        let request = Request::new(HealthCheckRequest { service });
        let answer = health.service().check(request).await.expect("is known");
        answer.into_inner().status()
            == tonic_health::pb::health_check_response::ServingStatus::Serving
    }

    /// Runs checks that answer as `answers` says, `?` for one that never does, and gives the readiness
    /// a moment before each next check, `+` or `-`.
    async fn kept(answers: &'static str) -> String {
        let health = Health::new();
        health.announce(&[SERVICE]).await;
        let asked = AtomicU32::new(0);
        let check = || {
            let number = asked.fetch_add(1, Ordering::SeqCst) as usize;
            async move {
                match answers.as_bytes().get(number) {
                    Some(b'?') => std::future::pending().await,
                    answer => answer == Some(&b'+'),
                }
            }
        };
        let observe = async {
            let mut seen = String::new();
            for answer in answers.chars() {
                let time = if answer == '?' {
                    CHECK_TIME
                } else {
                    Duration::ZERO
                };
                tokio::time::sleep(CHECK_INTERVAL + time).await;
                tokio::task::yield_now().await;
                seen.push(if is_ready(&health).await { '+' } else { '-' });
            }
            seen
        };
        tokio::select! {
            biased;
            () = health.keep(&[SERVICE], check) => unreachable!("it never ends"),
            seen = observe => seen,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_take_a_service_out_and_one_success_brings_it_back() {
        for (answers, seen) in [
            ("++--+", "+++++"),
            ("+---+", "+++-+"),
            ("-----++", "++---++"),
            ("--+--+---", "++++++++-"),
            ("???+", "++-+"),
        ] {
            assert_eq!(kept(answers).await, seen, "{answers}");
        }
    }

    #[tokio::test]
    async fn what_is_set_counts_only_while_callers_are_served() {
        let health = Health::new();
        health.withhold(&[SERVICE]).await;
        health.set_ready(SERVICE, true).await;
        assert!(!is_ready(&health).await, "no token can be judged");
        health.announce(&[SERVICE]).await;
        assert!(is_ready(&health).await);
        health.set_ready(SERVICE, false).await;
        health.announce(&[SERVICE]).await;
        assert!(!is_ready(&health).await, "its database does not answer");
        health.set_ready(SERVICE, true).await;
        health.drain().await;
        health.set_ready(SERVICE, true).await;
        assert!(!is_ready(&health).await, "the server shuts down");
    }
}
