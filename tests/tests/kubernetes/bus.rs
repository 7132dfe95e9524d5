//! The NATS servers of the production overlay: services publish to them as both are written, and nobody
//! may do more there than is meant.

use harness::certificates::Certificates;
use harness::engine::{SERVICES, engines};
use harness::eventually::eventually;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::objects::Objects;
use crate::rollout::story;
use crate::servers::{READER, Servers};

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
        let bus = async_nats::jetstream::new(reader);
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
        let (tell, mut told) = mpsc::unbounded_channel();
        let tell = move |event: async_nats::Event| drop(tell.send(event.to_string()));
        let client = servers.connect(service, tell).await.expect("a service");
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
            let _listens = client.subscribe(subject).await.expect("it is sent");
            assert!(refuses(&mut told, subject).await, "{service}: {subject}");
        }
    }
    certificates.renew("stranger");
    let stranger = servers.connect("stranger", drop).await;
    assert!(stranger.is_err(), "a certificate alone is nobody's");
    assert!(servers.connect_as_nobody().await.is_err());
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
