//! A service on a free port over a fresh database, and what tests ask of its answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contacts::{Config, Contacts};
use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::transfer_service_client::TransferServiceClient;
use proto::contacts::v1::{Contact, CreateContactRequest, Email};
use proto::errors::v1::Reason;
use store::change_log;
use store::testing::{Engine, FreshUrl, engines, soon};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use types::{Clock, Ids, Micros, Token};

pub const PARENT: &str = "workspaces/w";
pub const REQUEST_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

/// When tests begin: long before any server's own present.
const BEGINNING: Micros = Micros(1_700_000_000_000_000);

/// A running service with a client.
pub struct Suite {
    pub contacts: ContactServiceClient<Channel>,
    pub transfers: TransferServiceClient<Channel>,
    pub service: Contacts,
    pub clock: Clock,
    pub engine: Engine,
    url: Arc<FreshUrl>,
    /// Ends everything that the test has started.
    end: CancellationToken,
    /// Ends this process.
    stop: CancellationToken,
}

/// Runs a test once per engine.
#[expect(clippy::print_stderr, reason = "a failure must say on which engine")]
pub async fn on_each_engine<F, Fut>(test: F)
where
    F: Fn(Suite) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in engines() {
        let name = engine.name();
        eprintln!("on {name}");
        let url = Arc::new(engine.fresh_url().await);
        let end = CancellationToken::new();
        let clock = Clock::fixed(BEGINNING);
        test(Suite::over(engine, Arc::clone(&url), None, end.clone(), clock).await).await;
        end.cancel();
    }
}

impl Suite {
    /// The URL of its database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same database under a new process.
    pub async fn restarted(self) -> Self {
        self.restarted_at(None).await
    }

    /// The same, which connects to it by another URL.
    pub async fn restarted_at(self, way: Option<String>) -> Self {
        self.stop.cancel();
        Self::over(self.engine, self.url, way, self.end, self.clock).await
    }

    async fn over(
        engine: Engine,
        url: Arc<FreshUrl>,
        way: Option<String>,
        end: CancellationToken,
        clock: Clock,
    ) -> Self {
        let stop = end.child_token();
        let way = way.as_deref().unwrap_or(&url);
        let (service, address) = serve(way, clock.clone(), stop.clone()).await;
        let channel = Channel::from_shared(format!("http://{address}"))
            .expect("an address")
            .connect_lazy();
        Self {
            contacts: ContactServiceClient::new(channel.clone()),
            transfers: TransferServiceClient::new(channel),
            service,
            clock,
            engine,
            url,
            end,
            stop,
        }
    }

    /// Waits until all that was written so far lies before "now": on PostgreSQL a transaction that is
    /// still open, even another test's, keeps what came after it from being told.
    pub async fn settle(&mut self) {
        let request = CreateContactRequest {
            parent: "workspaces/settle".into(),
            contact: Some(Contact::default()),
            ..CreateContactRequest::default()
        };
        let made = self
            .contacts
            .create_contact(request)
            .await
            .expect("created")
            .into_inner();
        let made: Token = made.consistency_token.parse().expect("a token");
        let store = self.service.store();
        eventually("the end of older transactions", || async {
            let horizon = store.across().read("test", soon(), change_log::horizon);
            let horizon = horizon.await.expect("a horizon");
            (horizon.tx > made.tx || horizon.id == made.id).then_some(())
        })
        .await;
    }

    /// Creates a contact with this id.
    pub async fn create(&mut self, id: &str, contact: Contact) -> Contact {
        let request = CreateContactRequest {
            parent: PARENT.into(),
            contact: Some(contact),
            contact_id: id.into(),
            ..CreateContactRequest::default()
        };
        let answer = self
            .contacts
            .create_contact(request)
            .await
            .expect("a contact is created");
        answer
            .into_inner()
            .contact
            .expect("the answer has the contact")
    }
}

async fn serve(url: &str, clock: Clock, stop: CancellationToken) -> (Contacts, SocketAddr) {
    let mut config = Config::new(url);
    config.migrate = true;
    let service = Contacts::open(config, clock, Ids::system())
        .await
        .expect("the store opens");
    let mut tasks = service.spawn(stop.clone());
    let server = serve::Server::bind(serve::Config::on_free_port())
        .await
        .expect("a free port");
    let address = server.address();
    let services = service.services(serve::LocalAdmission);
    let stopped = stop.clone();
    tokio::spawn(async move {
        server
            .run(services, stopped.cancelled_owned())
            .await
            .expect("the server runs");
        while tasks.join_next().await.is_some() {}
    });
    assert!(service.ready().await);
    (service, address)
}

/// A person with a name and one address.
pub fn person(name: &str, email: &str) -> Contact {
    Contact {
        display_name: name.into(),
        emails: vec![Email {
            address: email.into(),
            ..Email::default()
        }],
        ..Contact::default()
    }
}

/// A request that creates a contact in the tests' workspace.
pub fn create(contact: Contact) -> CreateContactRequest {
    CreateContactRequest {
        parent: PARENT.into(),
        contact: Some(contact),
        ..CreateContactRequest::default()
    }
}

/// The name of a contact in the tests' workspace.
pub fn name(id: &str) -> String {
    format!("{PARENT}/contacts/{id}")
}

/// A request as a service of the suite sends it.
pub fn from_pipeline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let peer = "pipeline".parse().expect("metadata");
    request.metadata_mut().insert(serve::peer::PEER_KEY, peer);
    request
}

/// The refusal, which must be this one; its metadata.
pub fn refused<T>(
    answer: Result<Response<T>, Status>,
    code: Code,
    reason: Reason,
) -> std::collections::BTreeMap<String, String> {
    let Err(status) = answer else {
        panic!("{reason:?} is missing");
    };
    let found = (status.code(), proto::status::reason(&status));
    assert_eq!(found, (code, Some(reason)), "{status:?}");
    proto::status::metadata(&status)
}

/// The paths of the fields that a refusal lists.
pub fn fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_details_bad_request().expect("BadRequest");
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Whether an answer is that of an earlier call.
pub fn is_replayed<T>(answer: &Response<T>) -> bool {
    answer
        .metadata()
        .get("clientele-replayed")
        .is_some_and(|mark| mark == "1")
}

/// Asks again and again until there is an answer, at most ten seconds.
pub async fn eventually<T, F, Fut>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let begun = tokio::time::Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{what} did not come"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
