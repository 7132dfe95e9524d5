//! A closed loop: each client calls again as soon as it is answered.

use std::time::{Duration, Instant};

/// Something that can be called over and over by several clients.
pub trait Call: Sync {
    /// One call by client `client`, its `number`th. `false` when there is nothing left to call.
    fn call(&self, client: usize, number: usize) -> impl Future<Output = bool> + Send;
}

/// What a load came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Calls answered in a second.
    pub per_second: f64,
    /// The median time of a call, in milliseconds.
    pub p50_ms: f64,
    /// The time that one call in a hundred exceeded, in milliseconds.
    pub p99_ms: f64,
}

/// Lets `clients` call for `span`, after a warm-up of a quarter of it.
pub async fn run(clients: usize, span: Duration, call: &impl Call) -> Figures {
    let began = Instant::now();
    let (from, until) = (began + span / 4, began + span / 4 + span);
    let loops = (0..clients).map(|client| async move {
        let mut times = Vec::new();
        for number in 0.. {
            let before = Instant::now();
            if before >= until || !call.call(client, number).await {
                break;
            }
            if before >= from {
                times.push(before.elapsed());
            }
        }
        times
    });
    let times = futures::future::join_all(loops).await;
    let measured = Instant::now().min(until).saturating_duration_since(from);
    figures(times.into_iter().flatten().collect(), measured)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(mut times: Vec<Duration>, measured: Duration) -> Figures {
    if times.is_empty() {
        return Figures::default();
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Figures {
        per_second: times.len() as f64 / measured.as_secs_f64(),
        p50_ms: at(50),
        p99_ms: at(99),
    }
}
