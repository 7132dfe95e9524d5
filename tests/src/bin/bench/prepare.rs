//! What there must be before calls can be measured: contacts, a policy, grants, drafts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::billing::v1::{CreateInvoiceRequest, Invoice, LineItem};
use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::{Contact, CreateContactRequest, Email, GetContactRequest};
use proto::google::r#type::Decimal;
use proto::pipeline::v1::policy_activation::State;
use proto::pipeline::v1::policy_service_client::PolicyServiceClient;
use proto::pipeline::v1::position_service_client::PositionServiceClient;
use proto::pipeline::v1::{
    ActivatePolicyRequest, ConvertContactRequest, CreatePolicyRequest, GetPolicyActivationRequest,
    create_policy_request,
};

use crate::empty::channels;

/// Where everything happens.
pub const WORKSPACE: &str = "workspaces/bench";
/// How long opening the positions of all contacts may take.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

/// A contact to create, with a request id of its own.
pub fn new_contact(number: usize) -> CreateContactRequest {
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
pub async fn seed(uri: &str, count: usize) -> Result<Vec<String>> {
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
pub async fn settle(uri: &str, last: &str) -> Result<()> {
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

pub async fn activate(uri: &str) -> Result<()> {
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

/// Makes contacts clients for whom billing holds a grant.
pub async fn hold(uri: &str, names: &[String]) -> Result<()> {
    let channels = channels(uri, 32)?;
    for batch in names.chunks(32) {
        let held = batch.iter().map(|name| {
            let mut positions = PositionServiceClient::new(channels[0].clone());
            let mut invoices = InvoiceServiceClient::new(channels[1].clone());
            async move {
                let request = ConvertContactRequest {
                    contact: name.clone(),
                    stage: "client".to_owned(),
                    ..ConvertContactRequest::default()
                };
                positions.convert_contact(request).await?;
                invoices.create_invoice(draft(name)).await
            }
        });
        for answer in futures::future::join_all(held).await {
            answer?;
        }
    }
    Ok(())
}

fn draft(contact: &str) -> CreateInvoiceRequest {
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
    CreateInvoiceRequest {
        parent: WORKSPACE.to_owned(),
        invoice: Some(invoice),
        ..CreateInvoiceRequest::default()
    }
}

/// Drafts for a contact that is made a client.
pub async fn drafts(uri: &str, contact: &str, count: usize) -> Result<Vec<String>> {
    let channels = channels(uri, 32)?;
    let mut positions = PositionServiceClient::new(channels[0].clone());
    let request = ConvertContactRequest {
        contact: contact.to_owned(),
        stage: "client".to_owned(),
        ..ConvertContactRequest::default()
    };
    // A client already, from the run before: refused, and that is as good.
    let _ = positions.convert_contact(request).await;
    let request = draft(contact);
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
