//! Reads of single rows of one kind, which wait to be read together.
//!
//! On PostgreSQL most of a point read's price is not the row: a round trip, two hand-overs between
//! threads, a statement begun and ended. So reads that come while some of their workspace are under way
//! go with the next, as one statement; nobody waits for company, and each sees what was committed when it
//! came. On SQLite a point read is a function call, and everybody reads for himself.

use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use types::Deadline;

use crate::together::{Job, Lost, Queue};
use crate::{Conn, Error, Store};

/// Statements of one workspace that are under way at once: one is carried out while another is on its
/// way there or back.
const STATEMENTS_MAX: usize = 2;

/// Reads the rows of these keys, of one workspace: those that exist.
type Read<K, V> = dyn Fn(&mut Conn, &str, &[K]) -> Result<HashMap<K, V>, Error> + Send + Sync;

/// Reads of one kind of row. Clones share those that wait.
pub struct Points<K: Send + 'static, V: Send + 'static> {
    op: &'static str,
    read: Arc<Read<K, V>>,
    queue: Queue<Point<K, V>>,
}

/// One row to be read.
struct Point<K, V> {
    key: K,
    _value: PhantomData<fn() -> V>,
}

impl<K: Send + 'static, V: Send + 'static> Job for Point<K, V> {
    type Outcome = Result<Option<V>, Error>;

    fn subject(&self) -> Option<&str> {
        None
    }
}

impl<K: Send + 'static, V: Send + 'static> Clone for Points<K, V> {
    fn clone(&self) -> Self {
        Self {
            op: self.op,
            read: Arc::clone(&self.read),
            queue: self.queue.clone(),
        }
    }
}

impl<K, V> Points<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Reads labelled `op`, of the rows that `read` finds for some keys of a workspace. At most 32 keys
    /// are asked for at once.
    pub fn new(
        op: &'static str,
        read: impl Fn(&mut Conn, &str, &[K]) -> Result<HashMap<K, V>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            op,
            read: Arc::new(read),
            queue: Queue::new(STATEMENTS_MAX),
        }
    }

    /// The row of this key, where there is one.
    pub async fn get(
        &self,
        store: &Store,
        workspace: &str,
        key: K,
        deadline: Deadline,
    ) -> Result<Option<V>, Error> {
        if store.reads_on_the_calling_thread() {
            return self.get_alone(store, workspace, key, deadline).await;
        }
        let job = Point {
            key,
            _value: PhantomData,
        };
        let (points, store, lane) = (self.clone(), store.clone(), workspace.to_owned());
        let together = move |jobs| points.clone().get_all(store.clone(), lane.clone(), jobs);
        match self.queue.run(workspace, job, deadline, together).await {
            Ok(outcome) => outcome,
            Err(Lost::Late) => Err(Error::DeadlineExceeded),
            Err(Lost::Panicked) => Err(Error::Panicked { op: self.op }),
        }
    }

    async fn get_alone(
        &self,
        store: &Store,
        workspace: &str,
        key: K,
        deadline: Deadline,
    ) -> Result<Option<V>, Error> {
        let mut found = self
            .read(store, workspace, vec![key.clone()], deadline)
            .await?;
        Ok(found.remove(&key))
    }

    /// The outcome of each, in their order.
    async fn get_all(
        self,
        store: Store,
        workspace: String,
        jobs: Vec<(Point<K, V>, Deadline)>,
    ) -> Vec<Result<Option<V>, Error>> {
        let keys: Vec<K> = jobs.iter().map(|(point, _)| point.key.clone()).collect();
        let Some(latest) = jobs.iter().map(|(_, deadline)| *deadline).max() else {
            return Vec::new();
        };
        match self.read(&store, &workspace, keys, latest).await {
            Ok(found) => {
                let one = |(point, _): &(Point<K, V>, _)| Ok(found.get(&point.key).cloned());
                jobs.iter().map(one).collect()
            }
            // A row that makes no sense is the fault of one, and the others are there.
            Err(Error::Corrupt { .. }) if jobs.len() > 1 => {
                let mut outcomes = Vec::with_capacity(jobs.len());
                for (point, deadline) in jobs {
                    let outcome = self.get_alone(&store, &workspace, point.key, deadline);
                    outcomes.push(outcome.await);
                }
                outcomes
            }
            Err(error) => jobs.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read(
        &self,
        store: &Store,
        workspace: &str,
        keys: Vec<K>,
        deadline: Deadline,
    ) -> Result<HashMap<K, V>, Error> {
        let (read, whose) = (Arc::clone(&self.read), workspace.to_owned());
        store
            .within(workspace)
            .read_point(self.op, deadline, move |conn| read(conn, &whose, &keys))
            .await
    }
}
