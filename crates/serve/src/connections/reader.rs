//! What the client of a connection has been sent and has not read, and by when it must have.
//!
//! HTTP/2 keeps an answer for as long as its client opens no window for it, and does not ask the
//! answer's body for more meanwhile: no layer above hears of it. So each piece of an answer carries a
//! slip that is only gone once the piece was sent or its stream was reset, and the connection looks
//! whether a slip has been lying about for too long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::load::Taken;

/// How fast a client must read what is large, beside the time that it has for anything.
const BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

/// The client of a connection, as one who reads.
#[derive(Debug)]
pub(crate) struct Reader {
    since: Instant,
    patience: Duration,
    lying: Mutex<Lying>,
}

/// What has been made for the client and not been sent.
#[derive(Debug, Default)]
struct Lying {
    bytes: usize,
    /// How many pieces are due by the end of each tick. There are few ticks at a time.
    due: Vec<Due>,
}

#[derive(Debug)]
struct Due {
    tick: u128,
    pieces: usize,
}

impl Reader {
    /// One who has `patience` to read anything, and more for what is large.
    pub(crate) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            patience,
            lying: Mutex::default(),
        })
    }

    /// How often to look whether it [is late](Self::is_late). A piece may lie a tick and a look longer
    /// than its time.
    pub(super) fn tick(&self) -> Duration {
        (self.patience / 8).max(Duration::from_millis(1))
    }

    /// How many bytes have been made for it and not been sent.
    pub(crate) fn unread(&self) -> usize {
        self.lying().bytes
    }

    /// A piece of an answer on its way to the client; what was taken for it is given back once it is
    /// sent. Its time includes that of what lies there already, for all of it goes over one line.
    pub(crate) fn sent(self: &Arc<Self>, piece: Bytes, taken: Option<Taken>) -> Bytes {
        if piece.is_empty() {
            return piece;
        }
        let tick = {
            let mut lying = self.lying();
            lying.bytes += piece.len();
            let bytes = u64::try_from(lying.bytes).unwrap_or(u64::MAX);
            let slow = Duration::from_millis(bytes.saturating_mul(1_000) / BYTES_PER_SECOND_MIN);
            let tick = self.tick_at(Instant::now() + self.patience + slow);
            match lying.due.iter_mut().find(|due| due.tick == tick) {
                Some(due) => due.pieces += 1,
                None => lying.due.push(Due { tick, pieces: 1 }),
            }
            tick
        };
        Bytes::from_owner(Unread {
            piece,
            tick,
            reader: Arc::clone(self),
            _taken: taken,
        })
    }

    /// Whether something should have been read by now.
    pub(super) fn is_late(&self) -> bool {
        let now = self.tick_at(Instant::now());
        self.lying().due.iter().any(|due| due.tick < now)
    }

    fn read(&self, bytes: usize, tick: u128) {
        let mut lying = self.lying();
        lying.bytes -= bytes;
        let due = &mut lying.due;
        if let Some(at) = due.iter().position(|due| due.tick == tick) {
            due[at].pieces -= 1;
            if due[at].pieces == 0 {
                due.swap_remove(at);
            }
        }
    }

    fn tick_at(&self, at: Instant) -> u128 {
        at.duration_since(self.since).as_nanos() / self.tick().as_nanos()
    }

    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece that has not been sent yet.
struct Unread {
    piece: Bytes,
    tick: u128,
    reader: Arc<Reader>,
    _taken: Option<Taken>,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.reader.read(self.piece.len(), self.tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    #[tokio::test(start_paused = true)]
    async fn what_is_read_in_its_time_is_forgotten_and_what_is_not_is_late() {
        let reader = Reader::new(PATIENCE);
        let small = reader.sent(Bytes::from_static(b"small"), None);
        // What is large has the time that it takes at the least speed.
        let seconds = usize::try_from(2 * PATIENCE.as_secs()).expect("few");
        let large = vec![0; seconds * usize::try_from(BYTES_PER_SECOND_MIN).expect("few")];
        let large = reader.sent(large.into(), None);
        let part = small.slice(1..);
        drop(small);
        tokio::time::advance(PATIENCE).await;
        assert!(!reader.is_late());
        tokio::time::advance(2 * reader.tick()).await;
        assert!(reader.is_late(), "a part of it is still there");
        drop(part);
        assert!(!reader.is_late());
        tokio::time::advance(2 * PATIENCE).await;
        assert!(reader.is_late());
        drop(large);
        assert!(!reader.is_late() && reader.lying().due.is_empty());
        assert_eq!(reader.unread(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lies_before_a_piece_adds_to_its_time() {
        let reader = Reader::new(PATIENCE);
        let seconds = usize::try_from(BYTES_PER_SECOND_MIN).expect("few");
        let pieces: Vec<Bytes> = (0..16)
            .map(|_| reader.sent(vec![0; 2 * seconds].into(), None))
            .collect();
        assert_eq!(reader.unread(), 32 * seconds);
        // All of it comes over one line, at twice the least speed and in turns: whole at the end only.
        for piece in pieces {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!reader.is_late());
            drop(piece);
        }
        assert_eq!(reader.unread(), 0);
    }
}
