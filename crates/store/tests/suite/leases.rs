//! Leases and cursors: one holder at a time, and no effect of one that was deposed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::leases::{Lease, acquire, hold, release, renew};
use store::testing::soon;
use store::{Conn, Error, Options, Store, cursors};

use crate::{MIGRATIONS, at, eventually, on_each, on_postgres};

const TTL: Duration = Duration::from_secs(10);

fn lost<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LeaseLost { name }) if name == "follower")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_until_it_is_over() {
    on_each(async |fresh| {
        let store = &fresh.store;
        let take = |holder: &'static str, seconds: i64| {
            store.across().write("test", soon(), move |conn| {
                acquire(conn, "follower", holder, TTL, at(seconds * 1_000_000))
            })
        };
        let with =
            |lease: &Lease, seconds: i64, f: fn(&mut Conn, &Lease, i64) -> Result<(), Error>| {
                let lease = lease.clone();
                store.across().write("test", soon(), move |conn| {
                    f(conn, &lease, seconds * 1_000_000)
                })
            };
        let a = take("a", 0).await.unwrap().expect("it is free");
        assert_eq!(a.fencing, 1);
        assert_eq!(take("b", 9).await, Ok(None));
        with(&a, 9, |conn, lease, now| renew(conn, lease, TTL, at(now)))
            .await
            .unwrap();
        assert_eq!(take("b", 18).await, Ok(None));
        with(&a, 18, |conn, lease, now| hold(conn, lease, at(now)))
            .await
            .unwrap();
        // It is over, though nobody has taken it yet.
        assert!(lost(
            &with(&a, 19, |conn, lease, now| hold(conn, lease, at(now))).await
        ));
        assert!(lost(
            &with(&a, 19, |conn, lease, now| renew(conn, lease, TTL, at(now))).await
        ));
        let b = take("b", 19).await.unwrap().expect("it is over");
        assert_eq!(b.fencing, 2);
        assert!(lost(
            &with(&a, 20, |conn, lease, now| hold(conn, lease, at(now))).await
        ));
        with(&a, 20, |conn, lease, _| release(conn, lease))
            .await
            .unwrap();
        with(&b, 20, |conn, lease, now| hold(conn, lease, at(now)))
            .await
            .unwrap();
        with(&b, 20, |conn, lease, _| release(conn, lease))
            .await
            .unwrap();
        let again = take("a", 21).await.unwrap().expect("it was given back");
        assert_eq!(again.fencing, 3);
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
        let take = |holder: &'static str, seconds: i64| {
            hasty.across().write("test", soon(), move |conn| {
                acquire(conn, "follower", holder, TTL, at(seconds * 1_000_000))
            })
        };
        let lease = take("a", 0).await.unwrap().expect("it is free");
        let (first, has_held) = tokio::sync::oneshot::channel();
        let (go_on, may_go) = std::sync::mpsc::channel::<()>();
        let (first, may_go) = (Mutex::new(Some(first)), Mutex::new(may_go));
        let held = lease.clone();
        let effect = fresh
            .store
            .across()
            .write("test.effect", soon(), move |conn| {
                hold(conn, &held, at(1))?;
                if let Some(first) = first.lock().unwrap().take() {
                    first.send(()).unwrap();
                }
                let _ = may_go.lock().unwrap().recv();
                Ok::<_, Error>(())
            });
        let meanwhile = async {
            has_held.await.unwrap();
            let renewed = hasty.across().write("test", soon(), move |conn| {
                renew(conn, &lease, TTL, at(1_000_000))
            });
            assert_eq!(renewed.await, Ok(()));
            assert_eq!(take("b", 60).await, Err(Error::LockTimeout));
            go_on.send(()).unwrap();
        };
        assert_eq!(tokio::join!(effect, meanwhile).0, Ok(()));
        assert!(take("b", 60).await.unwrap().is_some());
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
