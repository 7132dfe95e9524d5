//! A relay that is switched off for good no longer holds the log back.

use relay::upkeep::{self, Stopped};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_for_a_relay_until_it_is_taken_off() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let store = &directory.store;
        let stop = async || upkeep::stop(store, soon()).await.expect("an answer");
        assert_eq!(stop().await, Stopped::Absent);
        let ids = [
            directory.log("ada", 1).await,
            directory.log_raw("bob", 1, vec![0xff]).await,
        ];
        let relay = directory.relay(&server).await;
        all_told(&server, &ids[..1]).await;
        assert_eq!(stop().await, Stopped::Running);
        eventually("bob is parked", async || {
            let listed = upkeep::parked(store, soon()).await.expect("a list");
            if listed.len() == 1 {
                Ok(())
            } else {
                Err(format!("{listed:?}"))
            }
        })
        .await;
        relay.stop().await;

        for revision in 2..=5 {
            directory.log("ada", revision).await;
        }
        let prune = async || {
            let pruned = store.across().write("test.prune", soon(), |conn| {
                change_log::prune(conn, Micros(i64::MAX), 100)
            });
            pruned
                .await
                .map_err(|error: Error| error)
                .expect("a number")
        };
        assert!(prune().await <= 2, "what the relay has not published stays");
        assert_eq!(stop().await, Stopped::Off { parked: 1 });
        assert!(prune().await >= 3, "nobody holds the log back any more");
        assert_eq!(stop().await, Stopped::Absent);

        // Switched on again it begins with what there is.
        let last = directory.log("ada", 6).await;
        let relay = directory.relay(&server).await;
        eventually("the newest is told", async || {
            let told = server.received().await;
            let found = told.last().is_some_and(|told| told.id == last);
            if found {
                Ok(())
            } else {
                Err(format!("{} events", told.len()))
            }
        })
        .await;
        relay.stop().await;
    }
}
