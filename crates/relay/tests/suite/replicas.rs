//! One of several relays works, and another takes over.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_relays_one_works_and_the_other_takes_over_from_a_killed_one() {
    // Both engines at once: each waits for a lease to run out.
    let engines = engines();
    futures::future::join_all(engines.iter().map(takes_over)).await;
}

async fn takes_over(engine: &Engine) {
    let Some(server) = NatsServer::start() else {
        return;
    };
    let directory = Directory::fresh(engine).await;
    let mut ids = vec![directory.log("ada", 1).await];
    let one = directory.relay(&server).await;
    all_told(&server, &ids).await;
    let other = directory
        .relay_over(directory.opened_again(), settings(&server))
        .await;
    for revision in 2..=20 {
        ids.push(directory.log("ada", revision).await);
    }
    all_told(&server, &ids).await;
    assert_eq!(other.progress.borrow().published, 0);

    one.kill();
    for revision in 21..=40 {
        ids.push(directory.log("ada", revision).await);
    }
    all_told(&server, &ids).await;
    assert!(other.progress.borrow().published > 0);
    other.stop().await;
}
