//! A change that can't be published parks its contact, and nobody else.

use relay::upkeep;

use super::*;

/// Small enough that a contact can be too large for it.
const SMALL: &str = "max_payload: 4096";

/// A change that is larger than [`SMALL`].
fn large(contact: &str) -> Vec<u8> {
    let message = Contact {
        name: name(contact),
        display_name: "x".repeat(8192),
        ..Contact::default()
    };
    message.encode_to_vec()
}

async fn parked(directory: &Directory) -> Vec<(String, bool)> {
    let listed = upkeep::parked(&directory.store, soon())
        .await
        .expect("a list");
    let shown = listed.into_iter();
    shown
        .map(|parked| (parked.event_id, parked.reason.is_some()))
        .collect()
}

async fn nothing_parked(directory: &Directory) {
    eventually("nothing is parked", async || {
        let found = parked(directory).await;
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_parks_its_contact_until_it_is_dropped() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let relay = directory.relay(&server).await;
        let mut ids = vec![directory.log("ada", 1).await, directory.log("bob", 1).await];
        let poisoned = directory.log_raw("ada", 2, vec![0xff]).await;
        let behind = [directory.log("ada", 3).await, directory.log("ada", 4).await];
        ids.push(directory.log("bob", 2).await);
        all_told(&server, &ids).await;
        let wanted = [
            (poisoned.clone(), true),
            (behind[0].clone(), false),
            (behind[1].clone(), false),
        ];
        eventually("ada is parked", async || {
            let found = parked(&directory).await;
            if found == wanted {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        // What comes after a restart waits too.
        relay.stop().await;
        let relay = directory.relay(&server).await;
        let later = directory.log("ada", 5).await;
        ids.push(directory.log("bob", 3).await);
        all_told(&server, &ids).await;
        eventually("the later one is parked too", async || {
            let count = relay.progress.borrow().parked;
            if count == 4 {
                Ok(())
            } else {
                Err(format!("{count} are parked"))
            }
        })
        .await;

        assert_eq!(
            upkeep::drop_parked(&directory.store, "nobody", soon()).await,
            Ok(false)
        );
        assert_eq!(
            upkeep::drop_parked(&directory.store, &poisoned, soon()).await,
            Ok(true)
        );
        ids.extend(behind);
        ids.push(later);
        ids.push(directory.log("ada", 6).await);
        all_told(&server, &ids).await;
        nothing_parked(&directory).await;
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_published_in_order_once_it_takes_it() {
    for engine in engines() {
        let Some(server) = NatsServer::start_with(SMALL) else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let relay = directory.relay(&server).await;
        let first = directory.log("ada", 1).await;
        let poisoned = directory.log_raw("ada", 2, large("ada")).await;
        let behind = directory.log("ada", 3).await;
        let other = directory.log("bob", 1).await;
        all_told(&server, &[first.clone(), other.clone()]).await;
        eventually("ada is parked", async || {
            let found = parked(&directory).await;
            let wanted = [(poisoned.clone(), true), (behind.clone(), false)];
            if found == wanted {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        relay.stop().await;

        // A server that takes more, with nothing in it.
        let Some(server) = NatsServer::start() else {
            return;
        };
        let relay = directory.relay(&server).await;
        assert_eq!(upkeep::retry(&directory.store, soon()).await, Ok(1));
        let last = directory.log("ada", 4).await;
        all_told(&server, &[poisoned, behind, last]).await;
        nothing_parked(&directory).await;
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_behind_one_that_was_dropped_meanwhile_goes_on() {
    for engine in engines() {
        let Some(mut server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let relay = directory.relay(&server).await;
        let mut ids = vec![directory.log("ada", 1).await];
        let poisoned = directory.log_raw("ada", 2, vec![0xff]).await;
        eventually("ada is parked", async || {
            let found = parked(&directory).await;
            if found == [(poisoned.clone(), true)] {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        relay.stop().await;
        server.kill();
        // The relay knows that ada's waits, and comes to note it only when bob's is taken.
        ids.push(directory.log("ada", 3).await);
        ids.push(directory.log("bob", 1).await);
        let mut relay = directory.relay(&server).await;
        let waits = |progress: &Progress| progress.oldest_unpublished.is_some();
        relay.progress.wait_for(waits).await.expect("it runs");
        relay.progress.changed().await.expect("it tries again");
        assert_eq!(
            upkeep::drop_parked(&directory.store, &poisoned, soon()).await,
            Ok(true)
        );
        server.restart();
        ids.push(directory.log("ada", 4).await);
        all_told(&server, &ids).await;
        nothing_parked(&directory).await;
        relay.stop().await;
    }
}
