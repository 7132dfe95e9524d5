//! Repeating a call while the peer is unavailable, without making an overload worse.

use std::sync::atomic::{AtomicU32, Ordering};

use tonic::{Code, Status};
use tonic_types::StatusExt;
use types::Deadline;

use super::backoff::Backoff;

/// Attempts of one call, the first included.
const ATTEMPTS_MAX: u32 = 4;

/// How much a peer may be retried: gRPC's retry throttling. Every failure takes a token, every
/// success gives a tenth back, and nothing is repeated while half of the tokens or fewer are left.
/// So when most calls fail, attempts are not multiplied on top.
#[derive(Debug)]
pub struct Budget {
    // In thousandths of a token.
    tokens: AtomicU32,
}

impl Budget {
    const FULL: u32 = 100_000;
    const COST: u32 = 1_000;
    const GAIN: u32 = 100;

    fn earn(&self) {
        // A lost race costs a tenth of a token, which nobody misses.
        let tokens = self.tokens.load(Ordering::Relaxed);
        if tokens < Self::FULL {
            let more = (tokens + Self::GAIN).min(Self::FULL);
            self.tokens.store(more, Ordering::Relaxed);
        }
    }

    /// Takes a token; whether a retry is allowed.
    fn spend(&self) -> bool {
        let tokens = self.tokens.load(Ordering::Relaxed);
        let less = tokens.saturating_sub(Self::COST);
        self.tokens.store(less, Ordering::Relaxed);
        less > Self::FULL / 2
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            tokens: AtomicU32::new(Self::FULL),
        }
    }
}

/// Calls until an answer other than UNAVAILABLE comes, the attempts or the budget are used up, or
/// the next pause would pass the deadline.
pub(super) async fn retry<T, F, Fut>(
    budget: &Budget,
    deadline: Deadline,
    mut call: F,
) -> Result<T, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Status>>,
{
    let mut backoff = Backoff::new();
    for attempt in 1.. {
        let status = match call().await {
            Err(status) if status.code() == Code::Unavailable => status,
            // A refusal is an answer: the peer is well.
            answer => {
                budget.earn();
                return answer;
            }
        };
        let asked = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay)
            .unwrap_or_default();
        let pause = backoff.pause().max(asked);
        if !budget.spend() || attempt >= ATTEMPTS_MAX || deadline.remaining() <= pause {
            return Err(status);
        }
        tokio::time::sleep(pause).await;
    }
    unreachable!("the attempts are limited")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    async fn attempts(budget: &Budget, time: Duration, answers: &[Code]) -> (u32, Code) {
        let made = Cell::new(0);
        let answer = retry(budget, Deadline::after(time), || {
            let attempt = made.replace(made.get() + 1);
            let code = answers[(attempt as usize).min(answers.len() - 1)];
            async move { Err::<(), _>(Status::new(code, "")) }
        })
        .await;
        (
            made.get(),
            answer.expect_err("all answers are errors").code(),
        )
    }

    #[tokio::test]
    async fn only_unavailable_is_repeated_and_at_most_four_times() {
        let budget = Budget::default();
        let time = Duration::from_secs(10);
        for (answers, expected) in [
            (&[Code::Unavailable][..], (4, Code::Unavailable)),
            (&[Code::Unavailable, Code::NotFound], (2, Code::NotFound)),
            (&[Code::Aborted], (1, Code::Aborted)),
            (&[Code::DeadlineExceeded], (1, Code::DeadlineExceeded)),
        ] {
            assert_eq!(attempts(&budget, time, answers).await, expected);
        }
    }

    #[tokio::test]
    async fn nothing_is_repeated_past_the_deadline() {
        let time = Duration::from_millis(20);
        let made = attempts(&Budget::default(), time, &[Code::Unavailable]).await;
        assert_eq!(made, (1, Code::Unavailable));
    }

    #[tokio::test]
    async fn a_spent_budget_stops_retries_until_calls_succeed_again() {
        let budget = Budget::default();
        while budget.spend() {}
        let time = Duration::from_secs(10);
        assert_eq!(attempts(&budget, time, &[Code::Unavailable]).await.0, 1);
        for _ in 0..30 {
            budget.earn();
        }
        assert_eq!(attempts(&budget, time, &[Code::Unavailable]).await.0, 2);
    }
}
