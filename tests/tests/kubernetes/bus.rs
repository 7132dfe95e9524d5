//! The NATS servers of the production overlay: services publish to them as both are written, and nobody
//! may do more there than is meant.

use async_nats::Client;
use async_nats::jetstream::{self, consumer, stream};
use futures::StreamExt as _;
use harness::certificates::Certificates;
use harness::engine::{SERVICES, engines};
use harness::eventually::eventually;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::objects::Objects;
use crate::rollout::story;
use crate::servers::{CONSUMER, READER, Servers, inbox};

#[tokio::test(flavor = "multi_thread")]
async fn services_publish_to_the_servers_as_both_are_written() {
    for engine in engines() {
        let Some(cluster) = Cluster::with_bus(engine).await else {
            return;
        };
        let mut pods = Vec::new();
        for service in SERVICES {
            let pod = cluster.start(service).await;
            cluster.lead(service, &[&pod]);
            pods.push(pod);
        }
        let told = story(&cluster.caller().await).await;
        told.unwrap_or_else(|status| panic!("{engine}: {status}"));
        let servers = cluster.bus().expect("it was started");
        let reader = servers.connect(READER, drop).await.expect("a reader");
        let bus = jetstream::new(reader);
        eventually("every service publishes", async || {
            let stream = bus.get_stream("CLIENTELE").await;
            let stream = stream.map_err(|error| error.to_string())?;
            let found = stream.cached_info();
            assert_eq!(found.config.num_replicas, 3, "it is on every server");
            for service in SERVICES {
                let subject = format!("clientele.{service}.secure.>");
                let last = stream.get_last_raw_message_by_subject(&subject).await;
                last.map_err(|error| format!("{subject}: {error}"))?;
            }
            Ok::<_, String>(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_publishes_its_own_events_and_may_do_nothing_else() {
    let certificates = Certificates::new();
    let objects = Objects::render("production");
    let Some(servers) = Servers::start(&objects, &certificates).await else {
        return;
    };
    for service in SERVICES {
        certificates.renew(service);
        let (client, mut told) = heard(&servers, service).await;
        let others = SERVICES.into_iter().filter(|other| *other != service);
        let foreign = others.map(|other| format!("clientele.{other}.acme.contact.created"));
        let api = [
            "$JS.API.STREAM.DELETE.CLIENTELE",
            "$JS.API.STREAM.PURGE.CLIENTELE",
            "$JS.API.STREAM.CREATE.OTHER",
            "$JS.API.STREAM.MSG.GET.CLIENTELE",
            "$JS.API.DIRECT.GET.CLIENTELE",
            "$JS.API.CONSUMER.CREATE.CLIENTELE",
            "$SYS.REQ.SERVER.PING",
            "clientele",
        ];
        for subject in foreign.chain(api.map(str::to_owned)) {
            let sent = client.publish(subject.clone(), "x".into()).await;
            sent.expect("it is sent");
            assert!(refuses(&mut told, &subject).await, "{service}: {subject}");
        }
        for subject in ["clientele.>", "$JS.>", ">"] {
            assert!(
                may_not_listen(&client, &mut told, subject).await,
                "{service}: {subject}"
            );
        }
    }
    certificates.renew("stranger");
    let stranger = servers.connect("stranger", drop).await;
    assert!(stranger.is_err(), "a certificate alone is nobody's");
    assert!(servers.connect_as_nobody().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_what_somebody_else_is_told() {
    let certificates = Certificates::new();
    let objects = Objects::render("production");
    let Some(servers) = Servers::start(&objects, &certificates).await else {
        return;
    };
    let users: Vec<&str> = SERVICES.into_iter().chain([CONSUMER]).collect();
    for user in &users {
        certificates.renew(user);
        let (client, mut told) = heard(&servers, user).await;
        let others = users.iter().filter(|other| *other != user);
        let inboxes = others.map(|other| format!("{}.>", inbox(other)));
        let wide = ["_INBOX.>", "*.>", ">"].map(str::to_owned);
        for subject in inboxes.chain(wide) {
            assert!(
                may_not_listen(&client, &mut told, &subject).await,
                "{user}: {subject}"
            );
        }
    }
    let reader = servers.connect(READER, drop).await.expect("a reader");
    let bus = jetstream::new(reader);
    let made = stream::Config {
        name: "CLIENTELE".to_owned(),
        subjects: vec!["clientele.>".to_owned()],
        ..stream::Config::default()
    };
    bus.create_stream(made).await.expect("a stream");
    let subject = "clientele.contacts.acme.contact.created";
    let sent = bus
        .publish(subject, "Ada".into())
        .await
        .expect("it is sent");
    sent.await.expect("it is stored");
    let consumer = servers.connect(CONSUMER, drop).await.expect("a consumer");
    let config = consumer::pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        filter_subject: "clientele.contacts.>".to_owned(),
        ..consumer::pull::Config::default()
    };
    let bus = jetstream::new(consumer);
    let made = bus.create_consumer_on_stream(config, "CLIENTELE").await;
    let made = made.expect("a consumer");
    let fetched = made.fetch().max_messages(1).messages().await;
    let message = fetched.expect("it is asked for").next().await;
    let message = message.expect("a message").expect("a message");
    assert_eq!(
        (&*message.subject, &*message.payload),
        (subject, &b"Ada"[..])
    );
    message.double_ack().await.expect("it is acknowledged");
}

/// Connects, with what the server says.
async fn heard(servers: &Servers, user: &str) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let tell = move |event: async_nats::Event| drop(tell.send(event.to_string()));
    (servers.connect(user, tell).await.expect("a user"), told)
}

/// Whether a user is refused to listen to this subject.
async fn may_not_listen(
    client: &Client,
    told: &mut mpsc::UnboundedReceiver<String>,
    subject: &str,
) -> bool {
    let _listens = client
        .subscribe(subject.to_owned())
        .await
        .expect("it is sent");
    refuses(told, subject).await
}

/// Whether the server's next word is that it refuses this subject. It answers everything else with
/// silence, so a missing refusal is found by waiting for it in vain.
async fn refuses(told: &mut mpsc::UnboundedReceiver<String>, subject: &str) -> bool {
    let refusal = async {
        while let Some(event) = told.recv().await {
            let event = event.to_lowercase();
            if event.contains("permissions violation") {
                return event.contains(&subject.to_lowercase());
            }
        }
        false
    };
    let patience = harness::eventually::PATIENCE;
    tokio::time::timeout(patience, refusal).await == Ok(true)
}
