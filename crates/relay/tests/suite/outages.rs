//! The bus goes away and comes back: writes go on, nothing is lost, the order is kept.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_load_and_comes_back_has_everything_in_order() {
    for engine in engines() {
        let Some(mut server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let relay = directory.relay(&server).await;
        let mut ids = Vec::new();
        for revision in 1..=60 {
            let logged = (0..8).map(|writer| {
                let contact = format!("c{writer}");
                let directory = &directory;
                async move { directory.log(&contact, revision).await }
            });
            ids.extend(futures::future::join_all(logged).await);
            // In the midst of publishing, twice.
            if revision == 20 || revision == 40 {
                server.kill();
            }
            if revision == 30 || revision == 50 {
                server.restart();
            }
        }
        all_told(&server, &ids).await;
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_bus_writes_go_on_the_log_is_kept_and_the_lag_is_known() {
    for engine in engines() {
        let Some(mut server) = NatsServer::start() else {
            return;
        };
        server.kill();
        let directory = Directory::fresh(&engine).await;
        let relay = directory.relay(&server).await;
        let mut ids = Vec::new();
        for revision in 1..=5 {
            ids.push(directory.log("ada", revision).await);
        }
        eventually("the lag is known", async || {
            let progress = *relay.progress.borrow();
            let lag = progress.lag(directory.clock.now());
            if lag > Duration::ZERO {
                Ok(())
            } else {
                Err(format!("{progress:?}"))
            }
        })
        .await;
        let pruned = directory
            .store
            .across()
            .write("test.prune", soon(), |conn| {
                change_log::prune(conn, Micros(i64::MAX), 100)
            });
        assert_eq!(
            pruned.await,
            Ok::<_, Error>(0),
            "the log is kept for the relay"
        );
        server.restart();
        all_told(&server, &ids).await;
        relay.stop().await;
    }
}
