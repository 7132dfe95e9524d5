//! Leases and cursors: one holder at a time, and no effect of one that was deposed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use store::leases::{self, Lease, acquire, hold, release, renew};
use store::testing::{age_leases, soon};
use store::{Conn, Error, Options, Store, cursors};
use types::Micros;

use crate::{MIGRATIONS, at, eventually, on_each, on_postgres};

const TTL: Duration = Duration::from_secs(10);

fn lost<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LeaseLost { name }) if name == "follower")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_until_it_is_over() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let take = |holder: &'static str| {
            store.across().write("test", soon(), move |conn| {
                acquire(conn, "follower", holder, TTL, at(0))
            })
        };
        let with = |lease: &Lease, f: fn(&mut Conn, &Lease) -> Result<(), Error>| {
            let lease = lease.clone();
            store
                .across()
                .write("test", soon(), move |conn| f(conn, &lease))
        };
        let renewed = |conn: &mut Conn, lease: &Lease| renew(conn, lease, TTL, at(0));
        let held = |conn: &mut Conn, lease: &Lease| hold(conn, lease, at(0));
        let passes = |seconds| age_leases(store, Duration::from_secs(seconds));
        let a = take("a").await.unwrap().expect("it is free");
        assert_eq!(a.fencing, 1);
        passes(5).await;
        assert_eq!(take("b").await, Ok(None));
        with(&a, renewed).await.unwrap();
        passes(5).await;
        assert_eq!(take("b").await, Ok(None));
        with(&a, held).await.unwrap();
        // It is over, though nobody has taken it yet.
        passes(6).await;
        assert!(lost(&with(&a, held).await));
        assert!(lost(&with(&a, renewed).await));
        let b = take("b").await.unwrap().expect("it is over");
        assert_eq!(b.fencing, 2);
        assert!(lost(&with(&a, held).await));
        with(&a, release).await.unwrap();
        with(&b, held).await.unwrap();
        with(&b, release).await.unwrap();
        let again = take("a").await.unwrap().expect("it was given back");
        assert_eq!(again.fencing, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_ran_ahead_keeps_nobody_out_once_its_process_is_gone() {
    on_each(async |fresh| {
        let take = |holder: &'static str, now: Micros| {
            fresh.store.across().write("test", soon(), move |conn| {
                acquire(conn, "follower", holder, TTL, now)
            })
        };
        let day = Duration::from_hours(24);
        let ahead = take("ahead", at(0).plus(day)).await.unwrap();
        assert!(ahead.is_some(), "it is free");
        if fresh.engine.is_postgres() {
            // Its clock does not count, so the lease is over as soon as any.
            assert_eq!(take("right", at(0)).await, Ok(None));
            age_leases(&fresh.store, TTL).await;
        }
        let right = take("right", at(0)).await.unwrap();
        let right = right.expect("no lease runs for a day");
        assert_eq!(take("another", at(0)).await, Ok(None));
        let holds = fresh
            .store
            .across()
            .write("test", soon(), move |conn| hold(conn, &right, at(0)));
        assert_eq!(holds.await, Ok(()));
        // The server's clock may have run ahead too.
        let further = leases::TTL_MAX + Duration::from_secs(1);
        let ends_later = fresh.store.across().write("test", soon(), move |conn| {
            let micros = i64::try_from(further.as_micros()).unwrap();
            let later = "UPDATE leases SET expire_time = expire_time + ";
            Ok::<_, Error>(diesel::sql_query(format!("{later}{micros}")).execute(conn)?)
        });
        assert_eq!(ends_later.await, Ok(1));
        assert!(take("another", at(0)).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_at_once_one_gets_it() {
    on_each(async |fresh| {
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..20 {
            let store = fresh.store.clone();
            asking.spawn(async move {
                store
                    .across()
                    .write("test", soon(), move |conn| {
                        acquire(conn, "follower", &format!("r{number}"), TTL, at(0))
                    })
                    .await
                    .unwrap()
            });
        }
        let got = asking.join_all().await.into_iter().flatten().count();
        assert_eq!(got, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_moves_with_the_effect() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let position = |conn: &mut Conn| cursors::read(conn, "follower");
        assert_eq!(
            store.across().read("test", soon(), position).await,
            Ok(None)
        );
        for to in ["1", "2"] {
            let advance = move |conn: &mut Conn| cursors::advance(conn, "follower", to, at(0));
            store.across().write("test", soon(), advance).await.unwrap();
        }
        let undone: Result<(), Error> = store
            .across()
            .write("test", soon(), |conn| {
                cursors::advance(conn, "follower", "3", at(0))?;
                Err(Error::Contention)
            })
            .await;
        assert_eq!(undone, Err(Error::Contention));
        assert_eq!(
            store.across().read("test", soon(), position).await,
            Ok(Some("2".to_owned()))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_led_task_runs_on_one_replica_and_moves_to_the_other() {
    on_each(async |fresh| {
        let ttl = Duration::from_millis(600);
        let running = Arc::new(AtomicI64::new(0));
        let fencing = Arc::new(AtomicI64::new(0));
        let mut replicas = Vec::new();
        for holder in ["a", "b"] {
            let (store, running, fencing) = (
                fresh.store.clone(),
                Arc::clone(&running),
                Arc::clone(&fencing),
            );
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let task = tokio::spawn(async move {
                let stopped = async {
                    let _ = stopped.await;
                };
                store
                    .lead("follower", holder, ttl, stopped, |lease| {
                        let (running, fencing) = (Arc::clone(&running), Arc::clone(&fencing));
                        async move {
                            let _running = Running::new(running);
                            fencing.store(lease.fencing, Ordering::SeqCst);
                            std::future::pending::<()>().await;
                        }
                    })
                    .await;
            });
            replicas.push((holder, stop, task));
        }
        eventually("one runs", async || running.load(Ordering::SeqCst) == 1).await;
        // Longer than the lease: it is renewed, and nobody else starts.
        let until = tokio::time::Instant::now() + ttl * 2;
        while tokio::time::Instant::now() < until {
            assert_eq!(running.load(Ordering::SeqCst), 1);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(fencing.load(Ordering::SeqCst), 1);
        let holder = fresh
            .store
            .across()
            .read("test", soon(), |conn| {
                use diesel::prelude::*;
                #[derive(QueryableByName)]
                struct Holder {
                    #[diesel(sql_type = diesel::sql_types::Text)]
                    holder: String,
                }
                let row: Holder =
                    diesel::sql_query("SELECT holder FROM leases").get_result(conn)?;
                Ok::<_, Error>(row.holder)
            })
            .await
            .unwrap();
        let (holding, waiting): (Vec<_>, Vec<_>) =
            replicas.into_iter().partition(|(name, ..)| *name == holder);
        for (_, stop, task) in holding {
            stop.send(()).unwrap();
            task.await.unwrap();
        }
        eventually("the other takes over", async || {
            fencing.load(Ordering::SeqCst) == 2
        })
        .await;
        assert_eq!(running.load(Ordering::SeqCst), 1);
        for (_, stop, task) in waiting {
            stop.send(()).unwrap();
            task.await.unwrap();
        }
        assert_eq!(running.load(Ordering::SeqCst), 0);
    })
    .await;
}

/// Counts the tasks that run.
struct Running(Arc<AtomicI64>);

impl Running {
    fn new(count: Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_lease_keeps_others_out_but_not_its_renewal() {
    on_postgres(async |fresh| {
        let hasty = Store::open(Options {
            lock_timeout: Duration::from_millis(100),
            ..Options::new("test", &*fresh.url, &MIGRATIONS)
        })
        .unwrap();
        let take = |holder: &'static str| {
            hasty.across().write("test", soon(), move |conn| {
                acquire(conn, "follower", holder, TTL, at(0))
            })
        };
        let lease = take("a").await.unwrap().expect("it is free");
        let (first, has_held) = tokio::sync::oneshot::channel();
        let (go_on, may_go) = std::sync::mpsc::channel::<()>();
        let (first, may_go) = (Mutex::new(Some(first)), Mutex::new(may_go));
        let held = lease.clone();
        let effect = fresh
            .store
            .across()
            .write("test.effect", soon(), move |conn| {
                hold(conn, &held, at(0))?;
                if let Some(first) = first.lock().unwrap().take() {
                    first.send(()).unwrap();
                }
                let _ = may_go.lock().unwrap().recv();
                Ok::<_, Error>(())
            });
        let meanwhile = async {
            has_held.await.unwrap();
            let renewed = hasty
                .across()
                .write("test", soon(), move |conn| renew(conn, &lease, TTL, at(0)));
            assert_eq!(renewed.await, Ok(()));
            age_leases(&fresh.store, TTL).await;
            assert_eq!(take("b").await, Err(Error::LockTimeout));
            go_on.send(()).unwrap();
        };
        assert_eq!(tokio::join!(effect, meanwhile).0, Ok(()));
        assert!(take("b").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_led_task_that_panics_is_started_again() {
    on_each(async |fresh| {
        let (fencing, stopping) = (Arc::new(AtomicI64::new(0)), tokio::sync::Notify::new());
        let led = fresh.store.lead(
            "follower",
            "a",
            Duration::from_millis(300),
            stopping.notified(),
            |lease| {
                let fencing = Arc::clone(&fencing);
                async move {
                    tokio::task::yield_now().await;
                    assert!(lease.fencing > 1, "a defect");
                    fencing.store(lease.fencing, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
            },
        );
        let watch = async {
            // The lease was released in between, so that another replica might have had it.
            eventually("it runs again", async || {
                fencing.load(Ordering::SeqCst) == 2
            })
            .await;
            stopping.notify_one();
        };
        tokio::join!(led, watch);
    })
    .await;
}
