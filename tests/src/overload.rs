//! Five times the calls that the suite can serve: what is left of what it does, and whether it is known to
//! be alive.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prost::Message as _;
use proto::contacts::v1::{Contact, CreateContactRequest};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::engine::Engine;
use crate::flood::{Call, Tally, closed, steady};
use crate::suite::{Layout, Suite};

/// Few enough that no connection carries more calls than it may.
const CONNECTIONS: u32 = 8;
/// Calls that are always going on at the peak, on each connection.
const AT_ONCE: u32 = 4;
/// The places of the service: as many as at the peak, and as many to wait for one. So few, that they are
/// full at once on the slowest machine.
const PLACES: [&str; 4] = ["--concurrency-max", "32", "--queue-max", "32"];
const SPAN: Duration = Duration::from_secs(2);
/// How many times more calls come than can be served.
const OVERLOAD: f64 = 5.0;

/// The peak, and what was left of it.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Calls served in a second while no more came.
    pub peak: f64,
    /// What came of five times as many.
    pub flood: Tally,
    /// How long health took meanwhile, at the median.
    pub health: Duration,
}

impl Round {
    /// What was left of the peak, 1 for all of it.
    pub fn left(&self) -> f64 {
        self.flood.per_second() / self.peak
    }
}

/// Measures CreateContact on a fresh suite of three processes: peak and flood in turn, since a machine that
/// is busy with other things changes from one second to the next. In the order of what was left.
///
/// # Panics
///
/// Panics where calls are refused at the peak, or health does not answer.
pub async fn rounds(engine: Engine, count: usize) -> Vec<Round> {
    let places = |_: &str| PLACES.map(str::to_owned).to_vec();
    let suite = Suite::start_with(engine, Layout::Three, &places).await;
    let uri = suite.process("contacts").uri.clone();
    let server = uri
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    peak_of(server).await;
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let peak = peak_of(server).await;
        let rate = peak * OVERLOAD / f64::from(CONNECTIONS);
        let flood = together(|| steady(server, create(), rate, SPAN));
        let (flood, health) = with_health(&uri, flood).await;
        rounds.push(Round {
            peak,
            flood,
            health,
        });
    }
    rounds.sort_by(|left, right| left.left().total_cmp(&right.left()));
    rounds
}

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

async fn peak_of(server: SocketAddr) -> f64 {
    let tally = together(|| closed(server, create(), AT_ONCE, SPAN)).await;
    assert_eq!(tally.refused, 0, "there are places for all");
    tally.per_second()
}

/// How long health takes to answer while `work` goes on, at the median.
async fn with_health<T>(uri: &str, work: impl Future<Output = T>) -> (T, Duration) {
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
