//! The connection to the database is lost while invoices that were issued together are committed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use proto::billing::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Suite, contact, on_every_engine};

/// What request ids of the test begin with.
const REQUEST_IDS: &str = "0190163d-8694-739b-aea5-";

/// Invoices that are issued at once.
const MANY: usize = 16;

/// Stands between billing and PostgreSQL, and once keeps the answer to a commit to itself: of a
/// transaction with more than one issue and a request id.
struct Between {
    address: SocketAddr,
    lost: Arc<AtomicBool>,
}

impl Between {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let lost = Arc::new(AtomicBool::new(false));
        let loses = Arc::clone(&lost);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("PostgreSQL");
                tokio::spawn(pass(client, server, Arc::clone(&loses)));
            }
        });
        Self { address, lost }
    }

    fn has_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

/// Passes on what both sides say until one of them ends, or the answer that is lost comes.
async fn pass(mut client: TcpStream, mut server: TcpStream, lost: Arc<AtomicBool>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut transaction, mut loses) = (String::new(), false);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let said = &asked[..read.unwrap_or(0)];
                let text = String::from_utf8_lossy(said);
                if text.contains("BEGIN") {
                    transaction.clear();
                }
                transaction.push_str(&text);
                if text.contains("COMMIT")
                    && transaction.matches("invoice.issued").count() > 1
                    && transaction.contains(REQUEST_IDS)
                {
                    loses = !lost.swap(true, Ordering::SeqCst);
                }
                if said.is_empty() || server.write_all(said).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let said = &answered[..read.unwrap_or(0)];
                if loses || said.is_empty() || client.write_all(said).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_the_invoice_is_issued_already_by_the_very_same_call() {
    on_every_engine(async |engine| {
        // On SQLite there is no connection to be lost.
        if !engine.is_postgres() {
            return;
        }
        let suite = Suite::new(&engine).await;
        let (_, server) = suite.url.split_once('@').expect("a user and a server");
        let (server, _) = server.split_once('/').expect("a server and a database");
        let between = Between::before(server.to_owned()).await;
        let url = suite.url.replace(server, &between.address.to_string());
        let billing = suite.start_over(&url).await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let mut round = 0;
        while !between.has_lost() {
            round += 1;
            assert!(round < 50, "no two were issued together");
            let mut requests = Vec::new();
            for number in 0..MANY {
                let request_id = if number % 2 == 0 {
                    format!("{REQUEST_IDS}{round:06}{number:06}")
                } else {
                    String::new()
                };
                requests.push(v1::IssueInvoiceRequest {
                    name: billing.draft(&ada).await.expect("a client").name,
                    request_id,
                    ..Default::default()
                });
            }
            let calls = requests.into_iter().map(|request| {
                let mut invoices = billing.invoices.clone();
                async move { invoices.issue_invoice(request).await }
            });
            for answer in join_all(calls).await {
                answer.expect("issued");
            }
        }
        billing.stop().await;
    })
    .await;
}
