//! Crowds: many slow reads at once keep nobody else waiting, and not even writes keep what others wait
//! for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::change_log::LogPosition;
use store::feed::Feed;
use store::testing::{engines, soon};
use store::{Conn, Error, Options, Store};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, eventually, ids, on_each, put};

/// More than any pool of these tests has connections.
const CROWD: usize = 64;

/// Operations that go on until they are let go.
#[derive(Default)]
struct Crowd {
    begun: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Has many come, of which as many begin as get a connection.
    async fn gather(&mut self, store: &Store, writes: bool) {
        for _ in 0..CROWD {
            let (store, step) = (store.clone(), self.step());
            self.tasks.spawn(async move {
                let done = if writes {
                    store.across().write("crowd", soon(), step).await
                } else {
                    store.across().read("crowd", soon(), step).await
                };
                done.unwrap();
            });
        }
        // Nobody is told when no more can begin: it is so when none has for a while.
        let (last, unchanged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        eventually("the crowd is in", async || {
            let begun = self.begun.load(Ordering::SeqCst);
            if begun == 0 || last.swap(begun, Ordering::SeqCst) != begun {
                unchanged.store(0, Ordering::SeqCst);
            }
            unchanged.fetch_add(1, Ordering::SeqCst) >= 20
        })
        .await;
    }

    fn step(&self) -> impl Fn(&mut Conn) -> Result<(), Error> + Send + Sync + 'static {
        let (begun, over) = (Arc::clone(&self.begun), Arc::clone(&self.over));
        move |conn| {
            ids(conn)?;
            begun.fetch_add(1, Ordering::SeqCst);
            while !over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }
    }

    async fn disperse(mut self) {
        assert!(
            self.begun.load(Ordering::SeqCst) < CROWD,
            "the pool is small"
        );
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// What must go on whatever there is to do.
async fn lives(store: &Store) {
    store.check(soon()).await.expect("readiness");
    let mut feed = Feed::all(store, LogPosition::START);
    feed.page(Duration::ZERO).await.expect("followers");
    let reserved = store.reserved();
    reserved
        .across()
        .read("test", soon(), ids)
        .await
        .expect("peers");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_lists_keep_neither_points_nor_writes_nor_readiness_waiting() {
    on_each(async |fresh| {
        let mut crowd = Crowd::default();
        crowd.gather(&fresh.store, false).await;
        let point = fresh.store.across().read_point("test", soon(), ids);
        point.await.expect("a point");
        let write = fresh
            .store
            .across()
            .write("test", soon(), |conn| put(conn, "a"));
        write.await.expect("a write");
        lives(&fresh.store).await;
        crowd.disperse().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_lists_nor_writes_take_the_last_connections() {
    on_each(async |fresh| {
        let mut crowd = Crowd::default();
        crowd.gather(&fresh.store, false).await;
        crowd.gather(&fresh.store, true).await;
        lives(&fresh.store).await;
        crowd.disperse().await;
    })
    .await;
}

/// How many operations are at work, in the one test that counts them.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Counted {
    fn new() -> Self {
        AT_WORK.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_holds_is_held_until_the_database_is_done_though_the_caller_has_gone() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let store = Store::open(Options {
            held: || Some(Box::new(Counted::new())),
            ..Options::new("test", &*url, &MIGRATIONS).migrating()
        })
        .unwrap();
        for reads in [false, true] {
            // Work of the store's own holds something too, now and then.
            eventually("nobody is at work", async || {
                AT_WORK.load(Ordering::SeqCst) == 0
            })
            .await;
            let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            let waiting = Mutex::new((Some(begun), may_go_on));
            let operation = move |_: &mut Conn| {
                let mut waiting = waiting.lock().unwrap();
                waiting.0.take().unwrap().send(()).unwrap();
                let _ = waiting.1.recv();
                Ok::<_, Error>(())
            };
            let store = store.clone();
            let call = tokio::spawn(async move {
                if reads {
                    store.across().read("test", soon(), operation).await
                } else {
                    store.across().write("test", soon(), operation).await
                }
            });
            has_begun.await.unwrap();
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            assert!(AT_WORK.load(Ordering::SeqCst) > 0, "on {}", engine.name());
            go_on.send(()).unwrap();
        }
        eventually("it is done", async || AT_WORK.load(Ordering::SeqCst) == 0).await;
    }
}
