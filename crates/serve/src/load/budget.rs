//! The memory that a service's calls take while they wait for their clients: for the rest of a body, or
//! for an answer to be read.
//!
//! Places count calls, and a call may be three megabytes or thirty bytes. So what is large is counted in
//! bytes too. Nobody has all of it: the last quarter is for those that have less than their equal part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::lanes::Class;
use super::shares::Shares;

/// So much of each body is not counted, nor of what each connection has not read: whoever sends and reads
/// little is not refused for those who do not. Places and connections bound it.
pub(super) const FREE_BYTES: usize = 16 * 1024;

/// So many bytes, beyond which nobody takes any.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    shares: Shares,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            state: Mutex::new(State {
                taken: 0,
                // One more than is seen: who has taken bytes gives them back when its client pleases.
                shares: Shares::new(1, Instant::now()),
            }),
        })
    }

    /// Nothing yet, for a call of this class and of `whose`.
    pub(super) fn open(self: &Arc<Self>, whose: &str, class: Class) -> Taken {
        Taken {
            budget: Arc::clone(self),
            whose: whose.into(),
            class,
            bytes: 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one call has taken of a budget. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    whose: Box<str>,
    class: Class,
    bytes: usize,
}

impl Taken {
    /// Takes so many bytes more, if there are any left for it. Critical calls have a quarter beyond what
    /// there is for others.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let budget = &self.budget;
        let is_critical = self.class == Class::Critical;
        let max = budget.max + if is_critical { budget.max / 4 } else { 0 };
        let state = &mut *budget.state();
        let taken = state.taken + bytes;
        let now = Instant::now();
        if taken > max
            || !(is_critical
                || state
                    .shares
                    .enter(&self.whose, bytes, taken, budget.max, now))
        {
            return false;
        }
        state.taken = taken;
        self.bytes += bytes;
        true
    }

    /// Takes so many bytes more whether there are any or not: for what has been done already and can't
    /// be refused any more.
    pub(super) fn overdraw(&mut self, bytes: usize) {
        let state = &mut *self.budget.state();
        state.taken += bytes;
        if self.class != Class::Critical {
            state.shares.reenter(&self.whose, bytes, Instant::now());
        }
        self.bytes += bytes;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let state = &mut *self.budget.state();
        state.taken -= self.bytes;
        if self.class != Class::Critical {
            state.shares.leave(&self.whose, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn nobody_takes_the_last_quarter_and_all_comes_back() {
        let budget = Budget::new(MAX);
        let mut greedy = budget.open("greedy", Class::Default);
        assert!(greedy.grow(700) && greedy.grow(50));
        assert!(!greedy.grow(1), "the rest is for others");
        let mut modest = budget.open("modest", Class::Default);
        assert!(modest.grow(200));
        let mut critical = budget.open("modest", Class::Critical);
        assert!(critical.grow(250) && !critical.grow(51));
        assert!(!modest.grow(51), "all is taken");
        drop((greedy, modest, critical));
        assert_eq!(budget.state().taken, 0);
        assert!(budget.open("modest", Class::Default).grow(MAX * 3 / 4));
    }

    #[test]
    fn what_can_not_be_refused_counts_against_those_that_come_later() {
        let budget = Budget::new(MAX);
        let mut done = budget.open("w", Class::Default);
        done.overdraw(2 * MAX);
        assert!(!budget.open("other", Class::Critical).grow(1));
        drop(done);
        assert!(budget.open("other", Class::Default).grow(1));
    }
}
