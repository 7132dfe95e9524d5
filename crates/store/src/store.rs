//! The store: one database, and the ways to read and write it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use types::{Clock, Deadline};

use crate::attempt::{Act, Attempt, Mode};
use crate::change_log::LogPosition;
use crate::clocks::Opened;
use crate::epoch::Epoch;
use crate::operation::Operation;
use crate::options::{Held, OpenError, Options};
use crate::permits::{Permits, Turn};
use crate::pool::{Lent, Manager, Pool};
use crate::sqlite::{self, Writer};
use crate::url::Target;
use crate::wake::Wake;
use crate::{Conn, Error, epoch, measure, migrate, notice, postgres, retry, roles, statistics};

/// One service's database. Clones are cheap and share everything.
///
/// Whoever reads or writes says first for whom: [`Store::within`] one workspace, or
/// [`Store::across`] them all.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    is_reserved: bool,
}

pub(crate) struct Inner {
    engine: Engine,
    pub(crate) pool: Pool,
    manager: Manager,
    permits: Permits,
    pub(crate) service: &'static str,
    pub(crate) clock: Clock,
    pub(crate) opened: Opened,
    held: fn() -> Held,
    epoch: Arc<AtomicI64>,
    pub(crate) wake: Wake,
}

enum Engine {
    Sqlite(Writer),
    Postgres,
}

impl Store {
    /// Opens the database: checks the engine and its settings, the schema, and the epoch. Blocks;
    /// to be called at start.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let manager = Manager::new(&options)?;
        let mut first = manager.first()?;
        roles::check(&mut first, options.migrations, options.service)?;
        if options.migrate {
            for name in migrate::run(&mut first, options.migrations, &options.clock)? {
                tracing::info!(service = options.service, migration = name, "migrated");
            }
        } else {
            let pending = migrate::missing(&mut first, options.migrations)?;
            if !pending.is_empty() {
                return Err(OpenError::SchemaOld { pending });
            }
        }
        let started = epoch::reconcile(&mut first, options.clock.now())
            .map_err(|error| OpenError::Unreachable(format!("the epoch row: {error:?}")))?;
        drop(first);
        let epoch = manager.epoch();
        epoch.store(started.number, Ordering::Relaxed);
        let wake = Wake::new();
        let (engine, max) = match manager.target().clone() {
            Target::Sqlite(path) => {
                let writer = Writer::start(path, options.service, wake.clone())?;
                (Engine::Sqlite(writer), options.readers)
            }
            Target::Postgres(_) => (Engine::Postgres, options.connections),
        };
        let inner = Arc::new(Inner {
            engine,
            pool: manager.clone().pool(max)?,
            manager,
            permits: Permits::new(max),
            service: options.service,
            opened: Opened::at(&options.clock),
            clock: options.clock,
            held: options.held,
            epoch,
            wake,
        });
        notice::watch(&inner);
        measure::keep(&inner);
        if matches!(inner.engine, Engine::Postgres) {
            statistics::keep(&inner);
        }
        Ok(Self::over(inner))
    }

    pub(crate) fn over(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            is_reserved: false,
        }
    }

    /// The same store for work that others wait for: readiness, what follows the change log for the
    /// suite, internal calls of peers. Some connections are kept for it, so that it waits behind no crowd
    /// of lists or writes; what people ask for has no place here. (SQLite writes in one order, without
    /// connections to wait for.)
    #[must_use]
    pub fn reserved(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            is_reserved: true,
        }
    }

    pub(crate) fn turn(&self, turn: Turn) -> Turn {
        if self.is_reserved {
            Turn::Reserved
        } else {
            turn
        }
    }

    /// The number of the epoch as last seen, at most about a second ago where the store was opened in
    /// a tokio runtime: it is looked at every second, at each new connection to PostgreSQL, after
    /// [`Store::bump_epoch`] and by [`Store::epoch_look`]. Never falls. What a transaction writes with an
    /// epoch needs [`epoch::current`], unless it locks a row that changes with the epoch.
    pub fn epoch(&self) -> i64 {
        self.inner.epoch.load(Ordering::Relaxed)
    }

    /// The place in the log of a read after which the log had `newest` as its newest row
    /// ([`change_log::newest`](crate::change_log::newest)): that, or the beginning of the present epoch
    /// where it has logged nothing yet.
    pub fn place(&self, newest: Option<LogPosition>) -> LogPosition {
        let beginning = LogPosition {
            epoch: self.epoch(),
            ..LogPosition::START
        };
        newest.map_or(beginning, |newest| newest.max(beginning))
    }

    /// Declares the database restored; answers the epoch that begins.
    pub async fn bump_epoch(&self, deadline: Deadline) -> Result<Epoch, Error> {
        let clock = self.inner.clock.clone();
        let epoch = self
            .across()
            .write("epoch.bump", deadline, move |conn| {
                epoch::bump(conn, clock.now())
            })
            .await?;
        self.inner.notice(epoch.number);
        Ok(epoch)
    }

    /// Whether the database answers: for readiness.
    pub async fn check(&self, deadline: Deadline) -> Result<(), Error> {
        self.reserved()
            .across()
            .read("store.check", deadline, |conn| {
                epoch::current(conn).map(|_| ())
            })
            .await
    }

    /// The engine's name, for logs and server information.
    pub fn engine(&self) -> &'static str {
        match self.inner.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres => "postgresql",
        }
    }

    /// Whether point reads are done on the calling thread, which costs nothing but the read.
    pub(crate) fn reads_on_the_calling_thread(&self) -> bool {
        matches!(self.inner.engine, Engine::Sqlite(_))
    }

    /// The clock the store was opened with.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn begin(&self, op: &'static str, mode: Mode) -> Operation {
        Operation::begin(op, mode, self.inner.service, self.engine())
    }

    pub(crate) async fn run_point<T, E, F>(&self, act: Act, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        // Such a read never waits, so a task that does nothing else would never let others run.
        tokio::task::consume_budget().await;
        if let Engine::Sqlite(_) = self.inner.engine
            && !act.deadline.expired()
            && let Some(mut lent) = self.inner.pool.try_get()
        {
            let operation = self.begin(act.op, act.mode);
            let answer = match sqlite::attempt(&mut lent, act.op, act.mode, &f) {
                Attempt::Answered(answer, _) => answer,
                Attempt::Settled(error) => Err(error),
                Attempt::Again(_) | Attempt::Unknown(_) => return self.run(act, f).await,
            };
            operation.end(1, answer.is_ok());
            return answer;
        }
        self.run(act, f).await
    }

    pub(crate) async fn run_write<T, E, F>(&self, act: Act, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        let Engine::Sqlite(writer) = &self.inner.engine else {
            return self.run(act, f).await;
        };
        if act.deadline.expired() {
            return Err(Error::DeadlineExceeded.into());
        }
        let operation = self.begin(act.op, act.mode);
        let answer = writer
            .write(act.op, act.deadline, (self.inner.held)(), f)
            .await;
        operation.end(1, answer.is_ok());
        answer
    }

    pub(crate) async fn run<T, E, F>(&self, act: Act, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        let operation = self.begin(act.op, act.mode);
        let mut number = 1;
        // Once a commit is in doubt only a success tells more: a refusal may rest on that very commit.
        let mut doubt: Option<Error> = None;
        let refused = loop {
            let attempt = self.attempt_off_thread(&act, Arc::clone(&f));
            let error = match attempt.await {
                Ok(Attempt::Answered(Ok(value), appended)) => {
                    if appended.is_some() {
                        self.inner.wake.notify();
                    }
                    operation.end(number, true);
                    return Ok(value);
                }
                Ok(Attempt::Answered(Err(error), _)) => break error,
                Ok(Attempt::Settled(error)) => {
                    doubt = None;
                    break error;
                }
                Err(error) => break error.into(),
                Ok(Attempt::Again(error)) => error,
                Ok(Attempt::Unknown(error)) => {
                    doubt = Some(error.clone());
                    error.into()
                }
            };
            let pause = retry::pause(number);
            if number == retry::ATTEMPTS_MAX || act.deadline.remaining() <= pause {
                break error;
            }
            tokio::time::sleep(pause).await;
            number += 1;
        };
        operation.end(number, false);
        Err(doubt.map_or(refused, E::from))
    }

    /// Waits for a connection's permit here, where waiting costs nothing, then does the rest on a
    /// thread that may block.
    async fn attempt_off_thread<T, E, F>(
        &self,
        act: &Act,
        f: Arc<F>,
    ) -> Result<Attempt<T, E>, Error>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        if act.deadline.expired() {
            return Err(Error::DeadlineExceeded);
        }
        let waited = measure::Wait::begin(self.inner.service);
        let permit = self.inner.permits.take(act.turn);
        let permit = tokio::time::timeout_at(act.deadline.instant().into(), permit)
            .await
            .map_err(|_| Error::DeadlineExceeded)??;
        waited.end();
        let (inner, act, op) = (Arc::clone(&self.inner), act.clone(), act.op);
        let held = (self.inner.held)();
        let attempt = tokio::task::spawn_blocking(move || {
            let _held = (permit, held);
            let mut lent = inner.borrow_connection(act.mode, act.deadline)?;
            let attempt = match inner.engine {
                Engine::Sqlite(_) => sqlite::attempt(&mut lent, act.op, act.mode, &*f),
                Engine::Postgres => postgres::attempt(&mut lent, &act, &*f),
            };
            if lent.note.cut() {
                inner.manager.note_outage();
            }
            lent.used = Instant::now();
            Ok(attempt)
        });
        attempt
            .await
            .unwrap_or_else(|_| Err(Error::Panicked { op }))
    }
}

impl Inner {
    /// Notes the number of an epoch that was seen; answers the newest.
    pub(crate) fn notice(&self, seen: i64) -> i64 {
        // Those who look at once may tell out of order.
        seen.max(self.epoch.fetch_max(seen, Ordering::Relaxed))
    }

    fn borrow_connection(&self, mode: Mode, deadline: Deadline) -> Result<Lent, Error> {
        loop {
            if deadline.expired() {
                return Err(Error::DeadlineExceeded);
            }
            let mut lent = self
                .pool
                .get_timeout(deadline.remaining())
                .map_err(Error::unavailable)?;
            if self.manager.trust(&mut lent, mode) {
                return Ok(lent);
            }
        }
    }
}
