//! Our own calls, measured through the generated client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use harness::engine::Engine;
use harness::suite::Suite;
use proto::billing::v1::IssueInvoiceRequest;
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::{GetContactRequest, ListContactsRequest};
use proto::pipeline::v1::position_service_client::PositionServiceClient;
use proto::pipeline::v1::{ConvertContactRequest, position};
use tonic::transport::Channel;

use crate::empty::channels;
use crate::load::{self, Call};
use crate::prepare::{WORKSPACE, activate, drafts, hold, new_contact, seed, settle};
use crate::report::Report;
use crate::{Arguments, CLIENTS, Rows};

/// Contacts with a grant for each row of conversions that recall it.
const HELD: usize = 1500;
const SELECT: &str = "point select";
const ONE: &str = "create, one statement";
const FIVE: &str = "create, five round trips";
const CREATE: &str = "CreateContact, with request_id";
const READ: &str = "GetContact";
const LIST: &str = "ListContacts, a page of 100";
const CONVERT: &str = "ConvertContact, no holder";
const RECALL: &str = "ConvertContact, one holder";
const ISSUE: &str = "IssueInvoice, one series, grant held";

/// Measures the calls that are wanted on one engine.
pub async fn measure(
    engine: Engine,
    suite: &Suite,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    let uri = suite.process("up").uri.clone();
    let span = Duration::from_secs(arguments.seconds);
    if arguments.wants(Rows::Create) {
        for clients in CLIENTS {
            let channels = channels(&uri, clients)?;
            let figures = load::run(clients, span, &Create { channels }).await;
            report.ours(engine, CREATE, clients, figures, &[ONE, FIVE]);
        }
    }
    let seeds = seed(&uri, 10_000).await?;
    settle(&uri, &seeds[seeds.len() - 1]).await?;
    let names = &seeds;
    if arguments.wants(Rows::Read) {
        for clients in CLIENTS {
            let channels = channels(&uri, clients)?;
            let figures = load::run(clients, span, &Read { channels, names }).await;
            report.ours(engine, READ, clients, figures, &[SELECT]);
        }
    }
    if arguments.wants(Rows::List) {
        for clients in CLIENTS {
            let channels = channels(&uri, clients)?;
            let figures = load::run(clients, span, &List { channels }).await;
            report.ours(engine, LIST, clients, figures, &[]);
        }
    }
    if ![Rows::Convert, Rows::Recall, Rows::Issue]
        .into_iter()
        .any(|rows| arguments.wants(rows))
    {
        return Ok(());
    }
    activate(&uri).await?;
    if arguments.wants(Rows::Convert) {
        for clients in CLIENTS {
            let channels = channels(&uri, clients)?;
            let figures = load::run(clients, span, &Convert { channels, names }).await;
            report.ours(engine, CONVERT, clients, figures, &[]);
        }
    }
    if arguments.wants(Rows::Recall) {
        for (round, clients) in CLIENTS.into_iter().enumerate() {
            let channels = channels(&uri, clients)?;
            let own = &names[round * HELD..(round + 1) * HELD];
            hold(&uri, own).await?;
            let next = AtomicUsize::new(0);
            let recall = Recall {
                channels,
                names: own,
                next,
            };
            let figures = load::run(clients, span, &recall).await;
            report.ours(engine, RECALL, clients, figures, &[]);
        }
    }
    if arguments.wants(Rows::Issue) {
        for clients in CLIENTS {
            let wanted = usize::try_from(span.as_secs())? * 3_000;
            let issue = Issue {
                channels: channels(&uri, clients)?,
                drafts: drafts(&uri, &seeds[seeds.len() - 1], wanted).await?,
                next: AtomicUsize::new(0),
            };
            let figures = load::run(clients, span, &issue).await;
            report.ours(engine, ISSUE, clients, figures, &[]);
        }
    }
    Ok(())
}

struct Create {
    channels: Vec<Channel>,
}

impl Call for Create {
    async fn call(&self, client: usize, number: usize) -> bool {
        let mut grpc = ContactServiceClient::new(self.channels[client / 16].clone());
        grpc.create_contact(new_contact(number)).await.is_ok()
    }
}

struct Read<'a> {
    channels: Vec<Channel>,
    names: &'a [String],
}

impl Call for Read<'_> {
    async fn call(&self, client: usize, number: usize) -> bool {
        let mut grpc = ContactServiceClient::new(self.channels[client / 16].clone());
        let name = self.names[(client * 7919 + number * 104_729) % self.names.len()].clone();
        grpc.get_contact(GetContactRequest {
            name,
            ..Default::default()
        })
        .await
        .is_ok()
    }
}

struct List {
    channels: Vec<Channel>,
}

impl Call for List {
    async fn call(&self, client: usize, _: usize) -> bool {
        let mut grpc = ContactServiceClient::new(self.channels[client / 16].clone());
        let request = ListContactsRequest {
            parent: WORKSPACE.to_owned(),
            page_size: 100,
            ..ListContactsRequest::default()
        };
        grpc.list_contacts(request).await.is_ok()
    }
}

struct Convert<'a> {
    channels: Vec<Channel>,
    names: &'a [String],
}

impl Call for Convert<'_> {
    async fn call(&self, client: usize, number: usize) -> bool {
        // Each client has contacts of its own and moves them to and fro: from where they all stand at
        // first, or the other way where a run before has left them elsewhere.
        let own = (self.names.len() - 1) / 64;
        let name = &self.names[client * own + number % own];
        let to_and_fro = ["contact", "lead"];
        for offset in 0..2 {
            let stage = to_and_fro[(number / own + offset) % 2].to_owned();
            let request = ConvertContactRequest {
                contact: name.clone(),
                stage,
                ..Default::default()
            };
            let mut grpc = PositionServiceClient::new(self.channels[client / 16].clone());
            if grpc.convert_contact(request).await.is_ok() {
                return true;
            }
        }
        false
    }
}

struct Recall<'a> {
    channels: Vec<Channel>,
    names: &'a [String],
    next: AtomicUsize,
}

impl Call for Recall<'_> {
    async fn call(&self, client: usize, _: usize) -> bool {
        let Some(name) = self.names.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
            return false;
        };
        let mut grpc = PositionServiceClient::new(self.channels[client / 16].clone());
        let request = ConvertContactRequest {
            contact: name.clone(),
            stage: "contact".to_owned(),
            ..Default::default()
        };
        grpc.convert_contact(request).await.is_ok_and(|answer| {
            // The move waited for billing and is written.
            answer.into_inner().state() == position::State::Open
        })
    }
}

struct Issue {
    channels: Vec<Channel>,
    drafts: Vec<String>,
    next: AtomicUsize,
}

impl Call for Issue {
    async fn call(&self, client: usize, _: usize) -> bool {
        let Some(name) = self.drafts.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
            return false;
        };
        let mut grpc = InvoiceServiceClient::new(self.channels[client / 16].clone());
        let request = IssueInvoiceRequest {
            name: name.clone(),
            ..Default::default()
        };
        grpc.issue_invoice(request).await.is_ok()
    }
}
