//! A database's password is changed while a service serves from it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::client::Client;
use harness::engine::{Databases, Engine, engines};
use harness::eventually::eventually;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};
use tonic::{Code, Status};

const WORKSPACE: &str = "workspaces/rotated";

/// What four callers do all the time.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<Result<(), Status>>>,
}

impl Load {
    fn begin(uri: &str) -> Self {
        let (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let callers = (0..4).map(|_| {
            let client = Client::new(uri, uri, uri).expect("a client");
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    create(&client, &stop).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        let callers = callers.collect();
        Self {
            stop,
            done,
            callers,
        }
    }

    async fn goes_on(&self, when: &str) {
        let enough = self.done.load(Ordering::Relaxed) + 40;
        eventually(when, async || match self.done.load(Ordering::Relaxed) {
            done if done >= enough => Ok(()),
            done => Err(format!("{done} of {enough}")),
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            let ended = caller.await.expect("a caller");
            ended.expect("no call has failed");
        }
    }
}

/// Creates a contact; tries again where the database was away, until the end.
async fn create(client: &Client, stop: &AtomicBool) -> Result<Value, Status> {
    let id = types::Ids::system().next();
    let contact = json!({"display_name": "Ada"});
    let request = json!({"parent": WORKSPACE, "contact": contact, "request_id": id});
    loop {
        match client
            .call("ContactService/CreateContact", request.clone())
            .await
        {
            Err(status) if status.code() == Code::Unavailable && !stop.load(Ordering::Relaxed) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// Puts a new content in the place of a file at once, as mounted Secrets change.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, content).expect("a file");
    std::fs::rename(&next, file).expect("the file's place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_under_load_and_nothing_is_restarted() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let databases = Databases::create();
    if !databases.guard("contacts", "first") {
        println!("skipped: this server lets everybody in (that of ./dev test asks for passwords)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("url");
    let path = file.display().to_string();
    replace(&file, &databases.guarded_url("contacts", "first"));
    // A process of its own, and one of all three services whose others have files.
    let alone = Suite::alone("contacts", &["--database-url-file", &path]).await;
    let together = Suite::start_with(Engine::Sqlite, Layout::One, &|_| {
        vec!["--contacts-database-url-file".to_owned(), path.clone()]
    })
    .await;
    let suites = [alone, together];
    let loads = suites.each_ref();
    let loads = loads.map(|suite| Load::begin(&suite.process("contacts").uri));
    for password in ["second", "third"] {
        for load in &loads {
            load.goes_on("before").await;
        }
        assert!(databases.guard("contacts", password));
        for load in &loads {
            load.goes_on("over the open connections").await;
        }
        replace(&file, &databases.guarded_url("contacts", password));
        databases.cut_guarded();
        for load in &loads {
            load.goes_on("over new connections").await;
        }
    }
    for load in loads {
        load.end().await;
    }
}
