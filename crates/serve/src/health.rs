//! Health of a server and of its services (`grpc.health.v1`).
//!
//! The empty service name is the liveness of the process: SERVING from start to end, for nothing a
//! restart of this process can't mend may restart it. A service's own name is its readiness: it is
//! set by the service, and off as soon as the server begins to shut down.

use std::sync::Arc;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

/// Sets readiness. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    services: Vec<(&'static str, bool)>,
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
        self.report(service, ready && !state.draining).await;
    }

    /// Reports a service that nobody has said anything about as not ready, for now.
    pub(crate) async fn withhold(&self, service: &str) {
        let state = self.state.lock().await;
        if state.services.iter().all(|(name, _)| *name != service) {
            self.report(service, false).await;
        }
    }

    /// Makes services that nobody has said anything about ready.
    pub(crate) async fn announce(&self, services: &[&'static str]) {
        for service in services {
            let mut state = self.state.lock().await;
            if state.services.iter().all(|(name, _)| name != service) {
                state.services.push((service, true));
                self.report(service, !state.draining).await;
            }
        }
    }

    /// Readiness off, for good.
    pub(crate) async fn drain(&self) {
        let mut state = self.state.lock().await;
        state.draining = true;
        for (service, _) in &state.services {
            self.report(service, false).await;
        }
    }

    /// The rpc service that tells.
    pub(crate) fn service(&self) -> HealthService {
        HealthService::from_health_reporter(self.reporter.clone())
    }

    async fn report(&self, service: &str, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.reporter.set_service_status(service, status).await;
    }
}
