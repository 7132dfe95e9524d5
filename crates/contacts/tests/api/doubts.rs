//! Creates that were written, together or alone, by a statement whose answer never came.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::contacts::v1::{CreateContactRequest, ListContactsRequest};
use proto::errors::v1::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PARENT, REQUEST_ID, create, on_each_engine, person};

/// More than go together at once.
const MANY: usize = 40;

/// What the names of the tests' contacts begin with; two digits follow.
const MARK: &[u8] = b"doubtful-";

/// A way to PostgreSQL that keeps the answer to one statement to itself and is then cut: the first that
/// has so many of the tests' contacts in it.
struct Way {
    server: String,
    least: usize,
    has_cut: AtomicBool,
}

impl Way {
    /// Opens a way to the server of this URL; the URL by which it is taken.
    async fn open(url: &str, least: usize) -> (Arc<Self>, String) {
        let (before, rest) = url.split_once('@').expect("a role");
        let (server, rest) = rest.split_once('/').expect("a database");
        let way = Arc::new(Self {
            server: server.to_owned(),
            least,
            has_cut: AtomicBool::new(false),
        });
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = door.local_addr().expect("an address");
        let open = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                tokio::spawn(Arc::clone(&open).connect(client));
            }
        });
        (way, format!("{before}@{address}/{rest}"))
    }

    async fn connect(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.server).await else {
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let is_cut = Arc::new(AtomicBool::new(false));
        tokio::select! {
            () = self.ask(from_client, to_server, &is_cut) => {}
            () = answer(from_server, to_client, &is_cut) => {}
        }
    }

    async fn ask(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: &AtomicBool) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            if named(&bytes[..length]) >= self.least && !self.has_cut.swap(true, Ordering::SeqCst) {
                is_cut.store(true, Ordering::SeqCst);
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }
}

/// Hands on what the server says; of what it says after the cut nothing. The answer to a statement
/// comes when it is committed.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let is_over = is_cut.load(Ordering::SeqCst);
        if is_over || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// How many of the tests' contacts are in a message.
fn named(bytes: &[u8]) -> usize {
    let ids: BTreeSet<&[u8]> = bytes
        .windows(MARK.len() + 2)
        .filter(|window| window.starts_with(MARK))
        .collect();
    ids.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_request_id_is_answered_and_the_others_are_told_that_nobody_knows() {
    on_each_engine(|suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        let (way, url) = Way::open(suite.url(), 2).await;
        let mut suite = suite.restarted_at(Some(url)).await;
        let requests = (0..MANY).map(|number| CreateContactRequest {
            request_id: if number % 2 == 0 {
                REQUEST_ID.replace("ad90", &format!("{number:04}"))
            } else {
                String::new()
            },
            ..create(person(&called(number), "ada@example.com"))
        });
        let calls = requests.map(|request| {
            let mut contacts = suite.contacts.clone();
            async move { contacts.create_contact(request).await }
        });
        let answers = futures::future::join_all(calls).await;
        assert!(way.has_cut.load(Ordering::SeqCst), "some went together");
        let mut in_doubt = 0;
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(_) => {}
                Err(status) => {
                    assert!(number % 2 == 1, "{number} has a request id: {status:?}");
                    let reason = proto::status::reason(&status);
                    assert_eq!(reason, Some(Reason::UpstreamUnavailable), "{status:?}");
                    in_doubt += 1;
                }
            }
        }
        assert!(in_doubt > 0);
        let request = ListContactsRequest {
            parent: PARENT.into(),
            page_size: 100,
            ..ListContactsRequest::default()
        };
        let listed = suite.contacts.list_contacts(request).await.expect("a list");
        let contacts = listed.into_inner().contacts;
        let mut found: Vec<String> = contacts.into_iter().map(|one| one.display_name).collect();
        found.sort();
        // Nobody's is missing, and none is there twice.
        assert_eq!(found, (0..MANY).map(called).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_written_alone_and_has_a_request_id_is_answered() {
    on_each_engine(|suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        let mut suite = suite;
        for (contact_id, number) in [("", 1), ("chosen", 2)] {
            let (way, url) = Way::open(suite.url(), 1).await;
            suite = suite.restarted_at(Some(url)).await;
            let request = CreateContactRequest {
                contact_id: contact_id.to_owned(),
                request_id: REQUEST_ID.replace("ad90", &format!("{number:04}")),
                ..create(person(&called(number), "ada@example.com"))
            };
            let answer = suite.contacts.create_contact(request).await;
            let answer = answer.expect("an answer");
            assert!(way.has_cut.load(Ordering::SeqCst));
            let contact = answer.into_inner().contact.expect("a contact");
            assert_eq!(contact.display_name, called(number));
        }
    })
    .await;
}

fn called(number: usize) -> String {
    format!("doubtful-{number:02}")
}
