//! What the directory does under load, by itself: one process, a real port, one database.
//!
//! `cargo run --release -p clientele-contacts --example load -- sqlite:load.db 20000 1000000`
//!
//! Prints calls per second at 1, 16 and 64 callers, the time of a page of the list, and an import's
//! rows per second, with the most memory that the process had. The second number is of the rows to
//! import: five times the first where it is left out.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "it is run by hand and read by people"
)]

use std::fmt::Write as _;
use std::time::Instant;

use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::transfer_service_client::TransferServiceClient;
use proto::contacts::v1::{
    Contact, CreateContactRequest, CreateImportRequest, Email, GetContactRequest, GetImportRequest,
    Import, ListContactsRequest, RunImportRequest, UploadImportChunkRequest,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use types::{Clock, Ids};

const PARENT: &str = "workspaces/load";

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "sqlite:load.db".to_owned());
    let count: usize = args
        .next()
        .map_or(5_000, |count| count.parse().expect("a number"));
    let imported: usize = args
        .next()
        .map_or(count * 5, |count| count.parse().expect("a number"));
    let mut config = contacts::Config::new(url);
    config.migrate = true;
    let opened = contacts::Contacts::open(config, Clock::system(), Ids::system()).await;
    let service = opened.expect("the database opens");
    let stop = CancellationToken::new();
    let tasks = service.spawn(stop.clone());
    let server = serve::Server::bind(serve::Config::on_free_port())
        .await
        .expect("a free port");
    let address = format!("http://{}", server.address());
    let serving = tokio::spawn(server.run(
        service.services(serve::LocalAdmission),
        stop.clone().cancelled_owned(),
    ));
    let channel = Channel::from_shared(address)
        .expect("an address")
        .connect_lazy();
    let contacts = ContactServiceClient::new(channel.clone());
    let mut name = String::new();
    for callers in [1, 16, 64] {
        name = creates(&contacts, callers, count).await;
        reads(&contacts, &name, callers, count).await;
    }
    pages(contacts.clone()).await;
    rows(TransferServiceClient::new(channel), imported).await;
    pages(contacts).await;
    println!("last contact {name}, memory {}", memory());
    stop.cancel();
    tasks.join_all().await;
    serving.await.expect("no panic").expect("the server ends");
}

async fn creates(contacts: &ContactServiceClient<Channel>, callers: usize, count: usize) -> String {
    let begun = Instant::now();
    let all = (0..callers).map(|caller| {
        let mut contacts = contacts.clone();
        let ids = Ids::system();
        tokio::spawn(async move {
            let mut name = String::new();
            for number in 0..count / callers {
                let request = CreateContactRequest {
                    parent: PARENT.into(),
                    contact: Some(person(&format!("{caller}-{number}"))),
                    request_id: ids.next(),
                    ..CreateContactRequest::default()
                };
                let made = contacts
                    .create_contact(request)
                    .await
                    .expect("created")
                    .into_inner();
                name = made.contact.expect("a contact").name;
            }
            name
        })
    });
    let mut names = futures::future::join_all(all).await;
    report("create", callers, count, begun);
    names.pop().expect("a caller").expect("no panic")
}

async fn reads(contacts: &ContactServiceClient<Channel>, name: &str, callers: usize, count: usize) {
    let begun = Instant::now();
    let all = (0..callers).map(|_| {
        let mut contacts = contacts.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            for _ in 0..count / callers {
                let request = GetContactRequest {
                    name: name.clone(),
                    ..GetContactRequest::default()
                };
                contacts.get_contact(request).await.expect("found");
            }
        })
    });
    futures::future::join_all(all).await;
    report("read", callers, count, begun);
}

async fn pages(mut contacts: ContactServiceClient<Channel>) {
    let mut request = ListContactsRequest {
        parent: PARENT.into(),
        page_size: 100,
        ..ListContactsRequest::default()
    };
    let begun = Instant::now();
    for _ in 0..50 {
        let page = contacts
            .list_contacts(request.clone())
            .await
            .expect("a page")
            .into_inner();
        request.page_token = page.next_page_token;
    }
    println!(
        "50 pages of 100 in their order: {:?} each",
        begun.elapsed() / 50
    );
}

async fn rows(mut transfers: TransferServiceClient<Channel>, count: usize) {
    let import = Import {
        format: Format::Csv as i32,
        ..Import::default()
    };
    let request = CreateImportRequest {
        parent: PARENT.into(),
        import: Some(import),
        ..CreateImportRequest::default()
    };
    let made = transfers
        .create_import(request)
        .await
        .expect("created")
        .into_inner();
    let name = made.import.expect("an import").name;
    let mut file = String::from("First Name,Last Name,Email\n");
    for number in 0..count {
        writeln!(file, "Ada,L{number},ada{number}@example.com").expect("a string grows");
    }
    let mut offset = 0;
    for piece in file.as_bytes().chunks(1 << 20) {
        let request = UploadImportChunkRequest {
            name: name.clone(),
            offset,
            data: piece.to_vec(),
        };
        transfers
            .upload_import_chunk(request)
            .await
            .expect("uploaded");
        offset += i64::try_from(piece.len()).expect("a length");
    }
    let begun = Instant::now();
    let request = RunImportRequest {
        name: name.clone(),
        ..RunImportRequest::default()
    };
    transfers.run_import(request).await.expect("it runs");
    loop {
        let request = GetImportRequest { name: name.clone() };
        let import = transfers
            .get_import(request)
            .await
            .expect("found")
            .into_inner()
            .import;
        let import = import.expect("an import");
        if import.state() != State::Running {
            println!("import {:?}: {} rows", import.state(), import.done_rows);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    report("import", 1, count, begun);
}

fn person(name: &str) -> Contact {
    Contact {
        display_name: format!("Person {name}"),
        emails: vec![Email {
            address: format!("p{name}@example.com"),
            ..Email::default()
        }],
        ..Contact::default()
    }
}

fn report(what: &str, callers: usize, count: usize, begun: Instant) {
    let each = begun.elapsed() / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let second = std::time::Duration::from_secs(1).as_nanos() / each.as_nanos().max(1);
    println!("{what:>8} at {callers:>2}: {second:>7} a second");
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("unknown").to_owned()
}
