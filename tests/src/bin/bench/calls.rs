//! Our own calls, measured through the generated client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::engine::Engine;
use harness::suite::Suite;
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::billing::v1::{CreateInvoiceRequest, Invoice, IssueInvoiceRequest, LineItem};
use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::{
    Contact, CreateContactRequest, Email, GetContactRequest, ListContactsRequest,
};
use proto::google::r#type::Decimal;
use proto::pipeline::v1::GetPolicyActivationRequest;
use proto::pipeline::v1::policy_activation::State;
use proto::pipeline::v1::policy_service_client::PolicyServiceClient;
use proto::pipeline::v1::position_service_client::PositionServiceClient;
use proto::pipeline::v1::{
    ActivatePolicyRequest, ConvertContactRequest, CreatePolicyRequest, create_policy_request,
};
use tonic::transport::Channel;

use crate::empty::channels;
use crate::load::{self, Call};
use crate::report::Report;
use crate::{Arguments, CLIENTS, Rows};

const WORKSPACE: &str = "workspaces/bench";
/// How long opening the positions of all contacts may take.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
const SELECT: &str = "point select";
const ONE: &str = "create, one statement";
const FIVE: &str = "create, five round trips";
const CREATE: &str = "CreateContact, with request_id";
const READ: &str = "GetContact";
const LIST: &str = "ListContacts, a page of 100";
const CONVERT: &str = "ConvertContact, no holder";
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
    if !arguments.wants(Rows::Convert) && !arguments.wants(Rows::Issue) {
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

fn new_contact(number: usize) -> CreateContactRequest {
    let email = Email {
        address: format!("person{number}@example.com"),
        ..Email::default()
    };
    let contact = Contact {
        given_name: "Person".to_owned(),
        family_name: format!("Number {number}"),
        emails: vec![email],
        ..Contact::default()
    };
    CreateContactRequest {
        parent: WORKSPACE.to_owned(),
        contact: Some(contact),
        request_id: types::Ids::system().next(),
        ..CreateContactRequest::default()
    }
}

/// Contacts to read and move.
async fn seed(uri: &str, count: usize) -> Result<Vec<String>> {
    let channels = channels(uri, 32)?;
    let mut names = Vec::with_capacity(count);
    for batch in (0..count).collect::<Vec<_>>().chunks(32) {
        let created = batch.iter().map(|number| {
            let mut client = ContactServiceClient::new(channels[number % channels.len()].clone());
            async move { client.create_contact(new_contact(*number)).await }
        });
        for answer in futures::future::join_all(created).await {
            names.push(answer?.into_inner().contact.context("a contact")?.name);
        }
    }
    Ok(names)
}

/// Waits until pipeline has opened the position of every contact made so far, so that what is
/// measured next does not share the machine with that.
async fn settle(uri: &str, last: &str) -> Result<()> {
    let client = ContactServiceClient::new(channels(uri, 1)?.remove(0));
    let started = Instant::now();
    loop {
        let request = GetContactRequest {
            name: last.to_owned(),
            ..GetContactRequest::default()
        };
        let answer = client.clone().get_contact(request).await?.into_inner();
        if answer
            .contact
            .is_some_and(|contact| !contact.stage.is_empty())
        {
            return Ok(());
        }
        anyhow::ensure!(
            started.elapsed() < SETTLED_WITHIN,
            "positions are still being opened"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn activate(uri: &str) -> Result<()> {
    let mut client = PolicyServiceClient::new(channels(uri, 1)?.remove(0));
    let request = CreatePolicyRequest {
        parent: WORKSPACE.to_owned(),
        source: Some(create_policy_request::Source::Preset(
            "free-switch".to_owned(),
        )),
        ..CreatePolicyRequest::default()
    };
    let policy = client
        .create_policy(request)
        .await?
        .into_inner()
        .policy
        .context("a policy")?;
    let stage_map = [("prospect".to_owned(), "lead".to_owned())].into();
    let request = ActivatePolicyRequest {
        name: policy.revision,
        stage_map,
        ..Default::default()
    };
    let activation = client
        .activate_policy(request)
        .await?
        .into_inner()
        .activation;
    let name = activation.context("an activation")?.name;
    let started = Instant::now();
    loop {
        let request = GetPolicyActivationRequest { name: name.clone() };
        let answer = client.get_policy_activation(request).await?.into_inner();
        if answer
            .activation
            .is_some_and(|now| now.state() == State::Complete)
        {
            return Ok(());
        }
        anyhow::ensure!(
            started.elapsed() < SETTLED_WITHIN,
            "positions are still being mapped"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Drafts for a contact that is made a client.
async fn drafts(uri: &str, contact: &str, count: usize) -> Result<Vec<String>> {
    let channels = channels(uri, 32)?;
    let mut positions = PositionServiceClient::new(channels[0].clone());
    let request = ConvertContactRequest {
        contact: contact.to_owned(),
        stage: "client".to_owned(),
        ..ConvertContactRequest::default()
    };
    // A client already, from the run before: refused, and that is as good.
    let _ = positions.convert_contact(request).await;
    let decimal = |value: &str| {
        Some(Decimal {
            value: value.to_owned(),
        })
    };
    let line = LineItem {
        description: "Work".to_owned(),
        unit_price: decimal("10"),
        tax_rate: decimal("19"),
        ..LineItem::default()
    };
    let invoice = Invoice {
        contact: contact.to_owned(),
        currency_code: "EUR".to_owned(),
        lines: vec![line],
        ..Invoice::default()
    };
    let request = CreateInvoiceRequest {
        parent: WORKSPACE.to_owned(),
        invoice: Some(invoice),
        ..CreateInvoiceRequest::default()
    };
    let mut names = Vec::with_capacity(count);
    while names.len() < count {
        let created = (0..64).map(|number| {
            let mut client = InvoiceServiceClient::new(channels[number % channels.len()].clone());
            let request = request.clone();
            async move { client.create_invoice(request).await }
        });
        for answer in futures::future::join_all(created).await {
            names.push(answer?.into_inner().invoice.context("an invoice")?.name);
        }
    }
    Ok(names)
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
