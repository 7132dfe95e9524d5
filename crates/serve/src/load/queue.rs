//! Who waits for a place: short queues, one for each class, with one length for all.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::Place;
use super::lanes::{Class, Lane, Lanes};

/// Those that wait. Whoever's sender is dropped has been refused.
#[derive(Debug)]
pub(super) struct Queue {
    max: usize,
    waiting: [VecDeque<oneshot::Sender<Place>>; Class::BY_RANK.len()],
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            waiting: Default::default(),
        }
    }

    /// Lets a call of this class wait. Where the queue is full, the one of the lowest class below
    /// that came last is refused for it; `None` where there is none below.
    pub(super) fn join(&mut self, class: Class) -> Option<oneshot::Receiver<Place>> {
        if self.len() >= self.max {
            for waiting in &mut self.waiting {
                waiting.retain(|waits| !waits.is_closed());
            }
        }
        if self.len() >= self.max {
            let lowest = Class::BY_RANK.into_iter().rev();
            let below = lowest.take_while(|lower| *lower < class);
            below
                .map(|lower| self.of(lower).pop_back())
                .find_map(|refused| refused)?;
        }
        let (place, waits) = oneshot::channel();
        self.of(class).push_back(place);
        Some(waits)
    }

    /// The next that gets a place, and the place, which is taken for it.
    pub(super) fn next(
        &mut self,
        lanes: &mut Lanes,
    ) -> Option<(oneshot::Sender<Place>, Class, Lane)> {
        for class in Class::BY_RANK {
            let waiting = self.of(class);
            while waiting.front().is_some_and(oneshot::Sender::is_closed) {
                waiting.pop_front();
            }
            if !waiting.is_empty()
                && let Some(lane) = lanes.take(class)
            {
                return self.of(class).pop_front().map(|next| (next, class, lane));
            }
        }
        None
    }

    fn of(&mut self, class: Class) -> &mut VecDeque<oneshot::Sender<Place>> {
        &mut self.waiting[class as usize]
    }

    fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }
}
