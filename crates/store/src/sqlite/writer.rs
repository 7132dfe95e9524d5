//! The thread that does all writing to one SQLite file, and the queue in front of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use types::Deadline;

use super::group::Group;
use super::member::{Job, Member};
use crate::options::{Held, OpenError};
use crate::wake::Wake;
use crate::{Conn, Driver, Error};

/// Writes that may wait at most; beyond them callers are turned away.
const QUEUE_MAX: usize = 4096;

/// The queue's near end. Dropping it ends the thread once the queue is empty.
pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Member>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on the file at `path`, which exists and is migrated.
    pub(crate) fn start(
        path: PathBuf,
        service: &'static str,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        let mut group = Group::open(path, service, wake)?;
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name(format!("{service}-writer"))
            .spawn(move || serve(&mut group, &waiting))
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Queues a write and waits for its answer, which comes after the commit.
    pub(crate) async fn write<T, E, F>(
        &self,
        op: &'static str,
        deadline: Deadline,
        held: Held,
        f: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Member> = Box::new(Job::new(op, deadline, held, f, reply));
        let queue = self
            .queue
            .as_ref()
            .ok_or_else(|| Error::unavailable("the store is closing"))?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::unavailable("the writer thread has ended"),
        })?;
        answer.await.unwrap_or_else(|_| {
            let text = "the writer failed before it could answer";
            Err(Error::CommitUnknown(Driver::new(text)).into())
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A closure may own the last clone of the store, so this may run on the thread itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the writer thread had panicked");
        }
    }
}

fn serve(group: &mut Group, waiting: &Receiver<Box<dyn Member>>) {
    while let Ok(first) = waiting.recv() {
        let next = || waiting.try_recv().ok();
        // Members' panics are caught where they run; this one would be a defect of the plumbing.
        if catch_unwind(AssertUnwindSafe(|| group.commit(first, next))).is_err() {
            tracing::error!("the writer panicked outside of a write; it opens the file anew");
            group.close();
        }
    }
}
