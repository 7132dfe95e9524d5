//! Running a background task on one replica at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use types::Deadline;

use crate::leases::{self, Lease};
use crate::{Error, Store};

impl Store {
    /// Runs `task` again and again while this process holds the lease `name`, until `stop` is done.
    ///
    /// The lease is renewed every third of `ttl`. When it is lost, or `stop` comes, the task's
    /// future is dropped at its next await: effects must therefore be single transactions, made
    /// safe by [`leases::hold`]. A task that ends is started anew after a third of `ttl`; one that
    /// runs for ever follows its log itself. After a panic of the task the lease is released at once, so
    /// that another process may try; here it is tried again like after its end. At the end the lease is
    /// released.
    pub async fn lead<F, Fut>(
        &self,
        name: &'static str,
        holder: &str,
        ttl: Duration,
        stop: impl Future<Output = ()>,
        task: F,
    ) where
        F: Fn(Lease) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut held = None;
        {
            let mut stop = std::pin::pin!(stop);
            loop {
                let term = self.one_term(name, holder, ttl, &mut held, &task);
                tokio::select! {
                    () = &mut stop => break,
                    () = term => {}
                }
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(ttl / 3) => {}
                }
            }
        }
        if let Some(lease) = held {
            self.release_lease(lease, ttl).await;
        }
    }

    /// From taking the lease to the task's end or the lease's loss.
    async fn one_term<F, Fut>(
        &self,
        name: &'static str,
        holder: &str,
        ttl: Duration,
        held: &mut Option<Lease>,
        task: &F,
    ) where
        F: Fn(Lease) -> Fut,
        Fut: Future<Output = ()>,
    {
        let lease = match held.clone() {
            Some(lease) => lease,
            None => match self.acquire_lease(name, holder, ttl).await {
                Ok(Some(lease)) => held.insert(lease).clone(),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(lease = name, ?error, "no lease could be asked for");
                    return;
                }
            },
        };
        tracing::debug!(lease = name, fencing = lease.fencing, "the task runs here");
        let run = async { task(lease.clone()).await };
        tokio::select! {
            panicked = panics(run) => if panicked {
                // What it said is told by the process's panic hook.
                tracing::error!(lease = name, "the task panicked, it is started again");
                *held = None;
                self.release_lease(lease, ttl).await;
                return;
            },
            () = self.keep_renewing(&lease, ttl) => {
                tracing::warn!(lease = name, "the lease was lost, its task ends here");
                *held = None;
                return;
            }
        }
        // The pause before the next term is shorter than what is left now.
        if self.renew_lease(&lease, ttl).await.is_err() {
            *held = None;
        }
    }

    async fn release_lease(&self, lease: Lease, ttl: Duration) {
        let name = lease.name.clone();
        let released = self
            .across()
            .write("lease.release", Deadline::after(ttl), move |conn| {
                leases::release(conn, &lease)
            })
            .await;
        if let Err(error) = released {
            tracing::warn!(lease = name, ?error, "a lease is left to run out");
        }
    }

    async fn acquire_lease(
        &self,
        name: &'static str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, Error> {
        let (holder, clock) = (holder.to_owned(), self.clock().clone());
        self.across()
            .write("lease.acquire", Deadline::after(ttl), move |conn| {
                leases::acquire(conn, name, &holder, ttl, clock.now())
            })
            .await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        let (lease, clock) = (lease.clone(), self.clock().clone());
        self.across()
            .write("lease.renew", Deadline::after(ttl / 3), move |conn| {
                leases::renew(conn, &lease, ttl, clock.now())
            })
            .await
    }

    /// Ends when the lease is lost, or could not be renewed in time.
    async fn keep_renewing(&self, lease: &Lease, ttl: Duration) {
        let mut until = tokio::time::Instant::now() + ttl;
        loop {
            tokio::time::sleep(ttl / 3).await;
            let asked = tokio::time::Instant::now();
            match self.renew_lease(lease, ttl).await {
                Ok(()) => until = asked + ttl,
                Err(Error::LeaseLost { .. }) => return,
                Err(error) => {
                    tracing::warn!(lease = lease.name, ?error, "a lease was not renewed");
                    if tokio::time::Instant::now() + ttl / 3 >= until {
                        return;
                    }
                }
            }
        }
    }
}

/// Runs the task to its end; whether that was a panic.
async fn panics(task: impl Future<Output = ()>) -> bool {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|context| {
        // The task is not polled again after a panic, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(polled) => polled.map(|()| false),
            Err(_) => std::task::Poll::Ready(true),
        }
    })
    .await
}
