//! Every change is told once, those of one contact in their order.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_change_arrives_once_and_those_of_a_contact_in_order() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let mut ids = vec![directory.log("before", 1).await];
        let relay = directory.relay(&server).await;
        for revision in 1..=10 {
            let logged = (0..12).map(|writer| {
                let contact = format!("c{writer}");
                let directory = &directory;
                async move { directory.log(&contact, revision).await }
            });
            ids.extend(futures::future::join_all(logged).await);
        }
        all_told(&server, &ids).await;

        let first = &server.received().await[0];
        assert_eq!(first.subject, "clientele.contacts.acme.contact.created");
        let data = ContactChange::decode(first.data.clone()).expect("a message");
        assert_eq!(
            (data.event_id, data.actor),
            (first.id.clone(), "local".to_owned())
        );
        assert_eq!(data.contact.expect("a contact").name, first.resource);
        eventually("nothing waits", async || {
            let progress = *relay.progress.borrow();
            match progress.oldest_unpublished {
                None => Ok(()),
                Some(_) => Err(format!("{progress:?}")),
            }
        })
        .await;
        relay.stop_after(ids.len() as u64).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_goes_on_where_the_last_one_ended() {
    for engine in engines() {
        let Some(server) = NatsServer::start() else {
            return;
        };
        let directory = Directory::fresh(&engine).await;
        let mut ids = vec![directory.log("ada", 1).await];
        let relay = directory.relay(&server).await;
        all_told(&server, &ids).await;
        relay.stop().await;
        ids.push(directory.log("ada", 2).await);
        let relay = directory.relay(&server).await;
        all_told(&server, &ids).await;
        relay.stop_after(1).await;

        // Also in another life of the database.
        directory.store.bump_epoch(soon()).await.expect("an epoch");
        ids.push(directory.log("ada", 3).await);
        let relay = directory.relay(&server).await;
        all_told(&server, &ids).await;
        relay.stop_after(1).await;
    }
}
