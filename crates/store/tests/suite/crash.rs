//! Crashes: a process that is killed loses nothing that it had acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use store::testing::{engines, open, soon};

use crate::{MIGRATIONS, ids, put};

/// Holds the database's URL when this process is the one to be killed.
const VICTIM: &str = "STORE_TEST_VICTIM";

/// Writes without end and says what was acknowledged. Does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(url) = std::env::var(VICTIM) else {
        return;
    };
    let store = open(&url, &MIGRATIONS);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0.. {
                let id = format!("{writer}-{number}");
                let written = id.clone();
                let write = store
                    .across()
                    .write("test", soon(), move |conn| put(conn, &written));
                write.await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {id}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    for engine in engines() {
        let url = engine.fresh_url().await;
        let mut acknowledged = Vec::new();
        for _ in 0..3 {
            drop(open(&url, &MIGRATIONS));
            let mut victim = Command::new(std::env::current_exe().unwrap())
                .args(["crash::victim", "--exact", "--nocapture"])
                .env(VICTIM, &*url)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let out = BufReader::new(victim.stdout.take().unwrap());
            let mut count = 0;
            for line in out.lines() {
                let line = line.unwrap();
                // The test runner writes on the same line before the first one.
                if let Some((_, id)) = line.split_once("acknowledged ") {
                    acknowledged.push(id.to_owned());
                    count += 1;
                }
                if count == 150 {
                    victim.kill().unwrap();
                }
            }
            victim.wait().unwrap();
            assert!(count >= 150);
            let store = open(&url, &MIGRATIONS);
            let found = store.across().read("test", soon(), ids).await.unwrap();
            for id in &acknowledged {
                assert!(found.contains(id), "{id} was acknowledged and is lost");
            }
            // The next victim writes the same ids.
            let clear = store.across().write("test", soon(), |conn| {
                use diesel::prelude::*;
                Ok::<_, store::Error>(diesel::delete(crate::notes::table).execute(conn)?)
            });
            clear.await.unwrap();
            acknowledged.clear();
        }
    }
}
