//! The stream: made where there is none, refused where it does not fit.

use async_nats::jetstream::stream::Config;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_made_as_it_is_documented() {
    let Some(server) = NatsServer::start() else {
        return;
    };
    let directory = Directory::fresh(&engines()[0]).await;
    let ids = [directory.log("ada", 1).await];
    let relay = directory.relay(&server).await;
    all_told(&server, &ids).await;
    let client = async_nats::connect(server.url()).await.expect("a client");
    let stream = jetstream::new(client).get_stream("CLIENTELE").await;
    let config = stream.expect("the stream").cached_info().config.clone();
    assert_eq!(config.subjects, ["clientele.>"]);
    assert_eq!(config.max_age, Duration::from_hours(30 * 24));
    assert_eq!(config.duplicate_window, Duration::from_mins(10));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_fit_gets_nothing_until_it_does() {
    let Some(server) = NatsServer::start() else {
        return;
    };
    let client = async_nats::connect(server.url()).await.expect("a client");
    let context = jetstream::new(client);
    let mut config = Config {
        name: "CRM".to_owned(),
        subjects: vec!["crm.events.>".to_owned()],
        duplicate_window: Duration::from_secs(5),
        ..Config::default()
    };
    context
        .create_stream(config.clone())
        .await
        .expect("a stream");
    let directory = Directory::fresh(&engines()[0]).await;
    directory.log("ada", 1).await;
    let settings = settings(&server).with_stream("CRM").expect("a stream");
    let settings = settings.with_prefix("crm.events").expect("a prefix");
    let relay = directory
        .relay_over(directory.store.clone(), settings)
        .await;
    eventually("the event waits", async || {
        let progress = *relay.progress.borrow();
        let waits = progress.lag(directory.clock.now()) > Duration::ZERO;
        if waits {
            Ok(())
        } else {
            Err(format!("{progress:?}"))
        }
    })
    .await;
    let count = async || {
        let stream = context.get_stream("CRM").await.expect("the stream");
        stream.cached_info().state.messages
    };
    assert_eq!(count().await, 0);
    assert_eq!(relay.progress.borrow().published, 0);

    config.duplicate_window = Duration::from_mins(5);
    context
        .update_stream(config)
        .await
        .expect("the same stream");
    eventually("the event is told", async || match count().await {
        1 => Ok(()),
        count => Err(format!("{count} events")),
    })
    .await;
    relay.stop().await;
}
