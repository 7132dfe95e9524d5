use std::sync::Mutex;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::Semaphore;
use tonic::Code;
use tonic_types::StatusExt;

use super::*;
use crate::config::Concurrency;
use crate::identity::ProcessSecret;
use crate::layers::ClaimLayer;
use crate::peer::PEER_KEY;
use crate::rpcs::Rpcs;

const LIST: &str = "/clientele.contacts.v1.ContactService/ListContacts";
const GET: &str = "/clientele.contacts.v1.ContactService/GetContact";
const TOLD: &str = "/clientele.contacts.v1.ContactService/RecordPositions";
const WATCH: &str = "/clientele.contacts.v1.ContactService/WatchContacts";
const OTHER: &str = "/clientele.billing.v1.InvoiceService/GetInvoice";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A server whose handlers wait until they are let go.
struct Server {
    layer: ShedLayer,
    claim: ClaimLayer,
    rpcs: Rpcs,
    gate: Arc<Semaphore>,
    begun: Arc<Mutex<Vec<String>>>,
}

type Answered = tokio::task::JoinHandle<Response<Body>>;

impl Server {
    fn new(settings: &Concurrency, proof: Proof) -> Self {
        let sets = [proto::DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let rpcs = Rpcs::read(&sets).expect("our own");
        let patience = Duration::from_millis(settings.queue_wait_ms);
        Self {
            layer: ShedLayer::new(Loads::new(rpcs.all(), settings), patience),
            claim: ClaimLayer::new(proof),
            rpcs,
            gate: Arc::new(Semaphore::new(0)),
            begun: Arc::default(),
        }
    }

    /// One with few places and no proof of peers.
    fn small() -> Self {
        let settings = Concurrency {
            calls_max: 2,
            critical_max: 1,
            queue_max: 2,
            queue_wait_ms: 25,
            streams_max: 2,
            ..Concurrency::default()
        };
        Self::new(&settings, Proof::None)
    }

    /// Sends a call and lets it get as far as it gets.
    async fn send_with(&self, path: &str, header: Option<(&'static str, &str)>) -> Answered {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        request.extensions_mut().insert(self.rpcs.find(path));
        if let Some((name, value)) = header {
            let value = value.parse().expect("a value");
            request.headers_mut().insert(name, value);
        }
        let (gate, begun) = (Arc::clone(&self.gate), Arc::clone(&self.begun));
        let handler = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            begun.lock().expect("not poisoned").push(path);
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.expect("open").forget();
                let silence = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
                Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(silence))))
            }
        });
        let mut service = (self.layer.clone(), self.claim.clone()).layer(handler);
        let call = service.call(request);
        let answered = tokio::spawn(async move {
            let Ok(answer) = call.await;
            answer
        });
        settle().await;
        answered
    }

    async fn send(&self, path: &str) -> Answered {
        self.send_with(path, None).await
    }

    fn begun(&self) -> Vec<String> {
        self.begun.lock().expect("not poisoned").clone()
    }
}

/// Lets every call get as far as it gets: no call here takes more turns than this.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// The refusal of a call.
async fn refusal(answered: Answered) -> Status {
    let answer = answered.await.expect("no panic");
    let status = Status::from_header_map(answer.headers()).expect("a refusal");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(answer.extensions().get::<Shed>().is_some());
    status
}

fn class(status: &Status) -> String {
    let info = status.get_details_error_info().expect("has ErrorInfo");
    assert_eq!(info.reason, "OVERLOADED");
    let pause = proto::status::retry_after(status).expect("has RetryInfo");
    assert!((100..=400).contains(&pause.as_millis()), "{pause:?}");
    info.metadata["criticality"].clone()
}

#[tokio::test(start_paused = true)]
async fn lists_are_refused_before_the_rest_and_health_never() {
    let server = Server::small();
    let list = server.send(LIST).await;
    let get = server.send(GET).await;
    assert_eq!(server.begun().len(), 2);
    let mut waiting = vec![server.send(LIST).await, server.send(LIST).await];
    let begun = tokio::time::Instant::now();
    assert_eq!(class(&refusal(server.send(LIST).await).await), "SHEDDABLE");
    assert_eq!(begun.elapsed(), Duration::ZERO, "there is no room to wait");
    let write = server.send(GET).await;
    let displaced = refusal(waiting.pop().expect("the second")).await;
    assert_eq!(class(&displaced), "SHEDDABLE");
    let critical = server.send(TOLD).await;
    let health = server.send(HEALTH).await;
    let elsewhere = server.send(OTHER).await;
    assert_eq!(server.begun()[2..], [TOLD, HEALTH, OTHER]);
    server.gate.add_permits(6);
    for answered in [list, get, write, critical, health, elsewhere] {
        let answer = answered.await.expect("no panic");
        assert!(answer.headers().is_empty(), "{:?}", answer.headers());
    }
    assert_eq!(server.begun()[5], GET, "the list that waits comes last");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_it_takes_to_say_so() {
    let server = Server::small();
    let _held = [server.send(GET).await, server.send(GET).await];
    let begun = tokio::time::Instant::now();
    let waits = server.send(GET).await;
    assert_eq!(class(&refusal(waits).await), "DEFAULT");
    let waited = begun.elapsed().as_millis();
    assert!((25..=26).contains(&waited), "{waited} ms");
}

#[tokio::test(start_paused = true)]
async fn streams_take_places_of_their_own_for_as_long_as_they_are_open() {
    let server = Server::small();
    server.gate.add_permits(2);
    let open = server.send(WATCH).await.await.expect("no panic");
    let _second = server.send(WATCH).await.await.expect("no panic");
    assert_eq!(class(&refusal(server.send(WATCH).await).await), "DEFAULT");
    let _calls = [server.send(GET).await, server.send(GET).await];
    assert_eq!(server.begun().len(), 4);
    drop(open);
    let _third = server.send(WATCH).await;
    assert_eq!(server.begun().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn calls_of_peers_are_critical_and_those_that_lie_about_it_are_not() {
    let secret = ProcessSecret::generate();
    let settings = Concurrency {
        calls_max: 1,
        critical_max: 1,
        queue_max: 1,
        ..Concurrency::default()
    };
    let peer = Some((PEER_KEY, "pipeline"));
    for (proof, passes) in [
        (Proof::None, true),
        (Proof::Identity, false),
        (Proof::Process(secret), false),
    ] {
        // What is for peers alone is judged before anybody has refused it.
        for (path, header) in [(GET, peer), (TOLD, None)] {
            let server = Server::new(&settings, proof.clone());
            let _held = server.send(GET).await;
            let answered = server.send_with(path, header).await;
            assert_eq!(server.begun().len(), 1 + usize::from(passes), "{path}");
            if !passes {
                assert_eq!(class(&refusal(answered).await), "DEFAULT", "{path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let server = Server::small();
    let held = [server.send(GET).await, server.send(GET).await];
    let gone = server.send(GET).await;
    let waits = server.send(GET).await;
    for call in [gone].into_iter().chain(held) {
        call.abort();
        call.await.expect_err("aborted");
    }
    settle().await;
    assert_eq!(server.begun().len(), 3);
    server.gate.add_permits(1);
    waits.await.expect("answers");
}
