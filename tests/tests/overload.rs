//! Five times the calls that the suite can serve: what is left of what it does, and whether it is known
//! to be alive.
//!
//! The goal is 90 % of the peak; what fails the test is less, for it must not fail on a machine that is
//! busy with others. Both are measured in turn, several times, and the median of the ratios counts, since
//! such a machine changes from one second to the next.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::engine::engines;
use harness::flood::{Call, Tally, closed, steady};
use harness::suite::{Layout, Suite};
use prost::Message as _;
use proto::contacts::v1::{Contact, CreateContactRequest};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Few enough that no connection carries more calls than it may.
const CONNECTIONS: u32 = 8;
/// Calls that are always going on at the peak, on each connection.
const AT_ONCE: u32 = 4;
/// The places of the service: as many as at the peak, and as many to wait for one. So few, that they are
/// full at once on the slowest machine.
const PLACES: [&str; 4] = ["--concurrency-max", "32", "--queue-max", "32"];
/// How long health may take: what it takes, and what a busy machine adds.
const HEALTH: Duration = Duration::from_secs(1);
const SPAN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
/// How many times more calls come than can be served.
const OVERLOAD: f64 = 5.0;
/// What must be left of the peak, at least.
const LEFT: f64 = 0.5;

fn create() -> Call {
    let contact = Contact {
        display_name: "One of many".to_owned(),
        ..Contact::default()
    };
    let request = CreateContactRequest {
        parent: "workspaces/busy".to_owned(),
        contact: Some(contact),
        ..CreateContactRequest::default()
    };
    let path = "/clientele.contacts.v1.ContactService/CreateContact";
    Call::new(path, &request.encode_to_vec())
}

/// The same on each connection.
async fn together<F>(each: impl Fn() -> F) -> Tally
where
    F: Future<Output = Tally> + Send + 'static,
{
    let mut lines = JoinSet::new();
    for _ in 0..CONNECTIONS {
        lines.spawn(each());
    }
    let mut tally = Tally::default();
    for one in lines.join_all().await {
        tally.add(one);
    }
    tally
}

async fn peak(server: SocketAddr) -> f64 {
    let tally = together(|| closed(server, create(), AT_ONCE, SPAN)).await;
    assert_eq!(tally.refused, 0, "there are places for all");
    tally.per_second()
}

/// How long health takes to answer while `work` goes on, at the median.
async fn health<T>(uri: &str, work: impl Future<Output = T>) -> (T, Duration) {
    let endpoint = Endpoint::from_shared(uri.to_owned()).expect("a URI");
    let mut health = HealthClient::new(endpoint.connect().await.expect("listens"));
    let mut times = Vec::new();
    let asking = async {
        loop {
            let asked = Instant::now();
            let check = HealthCheckRequest::default();
            health.check(check).await.expect("always answers");
            times.push(asked.elapsed());
            tokio::time::sleep(SPAN / 40).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = asking => unreachable!("asks for ever"),
    };
    times.sort_unstable();
    (done, times[times.len() / 2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_the_load_most_of_the_peak_is_left() {
    for engine in engines() {
        let places = |_: &str| PLACES.map(str::to_owned).to_vec();
        let suite = Suite::start_with(engine, Layout::Three, &places).await;
        let uri = suite.process("contacts").uri.clone();
        let server = uri
            .trim_start_matches("http://")
            .parse()
            .expect("an address");
        peak(server).await;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let peak = peak(server).await;
            let rate = peak * OVERLOAD / f64::from(CONNECTIONS);
            let flood = together(|| steady(server, create(), rate, SPAN));
            let (flood, time) = health(&uri, flood).await;
            let ratio = flood.per_second() / peak;
            println!("{engine}: {ratio:.2} of {peak:.0}/s, {flood:?}, health in {time:?}");
            assert!(flood.refused > 0, "there was no overload: {flood:?}");
            assert!(time < HEALTH, "health: {time:?}");
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ROUNDS / 2];
        assert!(median > LEFT, "{engine}: {median:.2} of the peak");
    }
}
