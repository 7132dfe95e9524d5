//! `demo`: the suite's story, told call by call against a running suite.
//!
//! Real contacts come in from a file, are converted under a policy, and billing invoices the client
//! and refuses everyone else.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use proto::billing::v1::invoice_service_client::InvoiceServiceClient;
use proto::billing::v1::project_service_client::ProjectServiceClient;
use proto::billing::v1::{
    AssignContactRequest, CreateInvoiceRequest, CreateProjectRequest, Invoice, IssueInvoiceRequest,
    LineItem, Project,
};
use proto::contacts::v1::contact_service_client::ContactServiceClient;
use proto::contacts::v1::import::Format;
use proto::contacts::v1::transfer_service_client::TransferServiceClient;
use proto::contacts::v1::{
    Contact, CreateImportRequest, Import, ListContactsRequest, Role, RunImportRequest,
    UploadImportChunkRequest, WatchImportRequest,
};
use proto::errors::v1::Reason;
use proto::google::r#type::Decimal;
use proto::pipeline::v1::create_policy_request::Source;
use proto::pipeline::v1::policy_service_client::PolicyServiceClient;
use proto::pipeline::v1::position_service_client::PositionServiceClient;
use proto::pipeline::v1::{
    ActivatePolicyRequest, ConvertContactRequest, ConvertContactResponse, CreatePolicyRequest,
    ListTransitionsRequest,
};
use tonic::{Response, Status};

use super::connect::{Suite, explain, refused, suite};
use crate::cli::Demo;

const EXPORT: &[u8] = include_bytes!("demo_contacts.csv");

/// Runs the command.
pub async fn run(args: Demo) -> Result<()> {
    let mut story = Story::begin(
        suite(&args.address, &args.bearer, &args.trust).await?,
        args.workspace,
    );
    let people = story.import().await?;
    let [ada, ben, walkin] = &people[..] else {
        bail!("three contacts should have come in")
    };
    story.project().await?;
    story.refuse_lead(ada).await?;
    story.convert(ada).await?;
    story.bill(ada).await?;
    story.guard(walkin).await?;
    story.never_backward(ada).await?;
    story.history(ada).await?;
    story.another_definition(ben).await?;
    say("");
    say("That was the suite. Each step was one gRPC call; README.md shows how to make your own.");
    Ok(())
}

/// The clients and the workspace that the story plays in.
struct Story {
    workspace: String,
    contacts: ContactServiceClient<Suite>,
    transfer: TransferServiceClient<Suite>,
    policies: PolicyServiceClient<Suite>,
    positions: PositionServiceClient<Suite>,
    invoices: InvoiceServiceClient<Suite>,
    projects: ProjectServiceClient<Suite>,
    step: u32,
}

impl Story {
    fn begin(channel: Suite, workspace: Option<String>) -> Self {
        let id = types::Ids::system().next();
        let workspace = workspace.unwrap_or_else(|| format!("demo-{}", &id[24..]));
        Self {
            workspace: format!("workspaces/{workspace}"),
            contacts: ContactServiceClient::new(channel.clone()),
            transfer: TransferServiceClient::new(channel.clone()),
            policies: PolicyServiceClient::new(channel.clone()),
            positions: PositionServiceClient::new(channel.clone()),
            invoices: InvoiceServiceClient::new(channel.clone()),
            projects: ProjectServiceClient::new(channel),
            step: 0,
        }
    }

    fn chapter(&mut self, title: &str) {
        self.step += 1;
        say("");
        say(&format!("{}. {title}", self.step));
    }

    async fn import(&mut self) -> Result<Vec<Contact>> {
        self.chapter("An address book comes in, as another program exported it");
        let import = Import {
            format: Format::Csv.into(),
            ..Import::default()
        };
        let request = CreateImportRequest {
            parent: self.workspace.clone(),
            import: Some(import),
            ..CreateImportRequest::default()
        };
        let created = ok(self.transfer.create_import(request).await)?;
        let name = created.import.context("an import")?.name;
        let chunk = UploadImportChunkRequest {
            name: name.clone(),
            offset: 0,
            data: EXPORT.to_vec(),
        };
        ok(self.transfer.upload_import_chunk(chunk).await)?;
        let run = RunImportRequest {
            name: name.clone(),
            ..RunImportRequest::default()
        };
        ok(self.transfer.run_import(run).await)?;
        let mut updates = ok(self
            .transfer
            .watch_import(WatchImportRequest { name })
            .await)?;
        let mut import = Import::default();
        while let Some(update) = updates.message().await.map_err(|status| refused(&status))? {
            import = update.import.unwrap_or_default();
        }
        say(&format!(
            "   recognised as {}: {} created, {} refused",
            import.program, import.created_rows, import.refused_rows
        ));
        let request = ListContactsRequest {
            parent: self.workspace.clone(),
            order_by: "create_time".to_owned(),
            ..ListContactsRequest::default()
        };
        let people = ok(self.contacts.list_contacts(request).await)?.contacts;
        for person in people
            .iter()
            .filter(|person| person.emails.len() + person.phones.len() > 0)
        {
            let address = person.emails.first().map(|email| email.address.as_str());
            say(&format!(
                "   {:<12} {}",
                person.display_name,
                address.unwrap_or("no e-mail")
            ));
        }
        Ok(people)
    }

    async fn project(&mut self) -> Result<()> {
        let request = CreateProjectRequest {
            parent: self.workspace.clone(),
            project: Some(Project {
                display_name: "New website".to_owned(),
                ..Project::default()
            }),
            project_id: "website".to_owned(),
            ..CreateProjectRequest::default()
        };
        ok(self.projects.create_project(request).await)?;
        Ok(())
    }

    async fn refuse_lead(&mut self, contact: &Contact) -> Result<()> {
        self.chapter(
            "Under the policy `one-way` everyone starts as a lead: no invoice, no project",
        );
        let invoice = self.create_invoice(contact).await;
        expect_refusal("an invoice for a lead", Reason::EntitlementMissing, invoice)?;
        let project = self.assign(contact).await;
        expect_refusal("a project for a lead", Reason::EntitlementMissing, project)
    }

    async fn convert(&mut self, contact: &Contact) -> Result<()> {
        self.chapter("The lead shows promise, then confirms business");
        for (stage, reason) in [
            ("prospect", "showed promise"),
            ("client", "confirmed business"),
        ] {
            let moved = ok(self.move_to(contact, stage, reason).await)?;
            let position = moved.position.context("a position")?;
            say(&format!(
                "   {} is now {} ({}), gained: {}",
                contact.display_name,
                position.stage,
                Role::try_from(position.role)?.as_str_name(),
                moved.gained.join(", ")
            ));
        }
        Ok(())
    }

    async fn bill(&mut self, contact: &Contact) -> Result<()> {
        self.chapter("The client is invoiced and assigned to a project");
        let draft = ok(self.create_invoice(contact).await)?
            .invoice
            .context("an invoice")?;
        let request = IssueInvoiceRequest {
            name: draft.name,
            ..IssueInvoiceRequest::default()
        };
        let issued = ok(self.invoices.issue_invoice(request).await)?
            .invoice
            .context("an invoice")?;
        say(&format!(
            "   issued {} over {} {}",
            issued.number, issued.gross_total_decimal, issued.currency_code
        ));
        ok(self.assign(contact).await)?;
        say(&format!(
            "   {} is assigned to New website",
            contact.display_name
        ));
        Ok(())
    }

    async fn guard(&mut self, contact: &Contact) -> Result<()> {
        self.chapter("A guard: a prospect logs in by e-mail, so an address is needed");
        let moved = self.move_to(contact, "prospect", "showed promise").await;
        expect_refusal(
            "a prospect without an e-mail address",
            Reason::GuardNotMet,
            moved,
        )
    }

    async fn never_backward(&mut self, contact: &Contact) -> Result<()> {
        self.chapter("Never backward: `one-way` means it, for everyone");
        let moved = self.move_to(contact, "lead", "").await;
        expect_refusal(
            "a client who becomes a lead",
            Reason::TransitionNotAllowed,
            moved,
        )
    }

    async fn history(&mut self, contact: &Contact) -> Result<()> {
        self.chapter("Every move is kept, hashed and never rewritten");
        let request = ListTransitionsRequest {
            parent: contact.name.clone(),
            ..ListTransitionsRequest::default()
        };
        for row in ok(self.positions.list_transitions(request).await)?.transitions {
            let from = if row.from_stage.is_empty() {
                "opened"
            } else {
                &row.from_stage
            };
            let hash = row.hash.get(..12).unwrap_or_default();
            say(&format!(
                "   {}. {from} > {:<9} {hash}  {}",
                row.revision, row.to_stage, row.reason
            ));
        }
        Ok(())
    }

    async fn another_definition(&mut self, contact: &Contact) -> Result<()> {
        self.chapter(
            "Another definition of the same words: `free-switch`, back and forth as one likes",
        );
        let request = CreatePolicyRequest {
            parent: self.workspace.clone(),
            source: Some(Source::Preset("free-switch".to_owned())),
            policy_id: "free".to_owned(),
            ..CreatePolicyRequest::default()
        };
        let policy = ok(self.policies.create_policy(request).await)?
            .policy
            .context("a policy")?;
        let request = ActivatePolicyRequest {
            name: policy.revision,
            stage_map: BTreeMap::from([("prospect".to_owned(), "lead".to_owned())]),
            ..ActivatePolicyRequest::default()
        };
        ok(self.policies.activate_policy(request).await)?;
        ok(self.move_to(contact, "client", "").await)?;
        let draft = ok(self.create_invoice(contact).await)?
            .invoice
            .context("an invoice")?;
        say(&format!(
            "   {} became a client at once and has a draft",
            contact.display_name
        ));
        let moved = ok(self.move_to(contact, "contact", "").await)?;
        say(&format!(
            "   and is just a contact again, lost: {}",
            moved.lost.join(", ")
        ));
        let request = IssueInvoiceRequest {
            name: draft.name,
            ..IssueInvoiceRequest::default()
        };
        let issued = self.invoices.issue_invoice(request).await;
        expect_refusal(
            "the draft, issued after the demotion",
            Reason::EntitlementMissing,
            issued,
        )
    }

    async fn move_to(
        &mut self,
        contact: &Contact,
        stage: &str,
        reason: &str,
    ) -> Result<Response<ConvertContactResponse>, Status> {
        let request = ConvertContactRequest {
            contact: contact.name.clone(),
            stage: stage.to_owned(),
            reason: reason.to_owned(),
            ..ConvertContactRequest::default()
        };
        self.positions.convert_contact(request).await
    }

    async fn create_invoice(
        &mut self,
        contact: &Contact,
    ) -> Result<Response<proto::billing::v1::CreateInvoiceResponse>, Status> {
        let decimal = |value: &str| {
            Some(Decimal {
                value: value.to_owned(),
            })
        };
        let line = LineItem {
            description: "Consulting, hours".to_owned(),
            quantity: decimal("7.5"),
            unit_price: decimal("120"),
            tax_rate: decimal("19"),
            ..LineItem::default()
        };
        let invoice = Invoice {
            contact: contact.name.clone(),
            currency_code: "EUR".to_owned(),
            lines: vec![line],
            ..Invoice::default()
        };
        let request = CreateInvoiceRequest {
            parent: self.workspace.clone(),
            invoice: Some(invoice),
            ..CreateInvoiceRequest::default()
        };
        self.invoices.create_invoice(request).await
    }

    async fn assign(
        &mut self,
        contact: &Contact,
    ) -> Result<Response<proto::billing::v1::AssignContactResponse>, Status> {
        let request = AssignContactRequest {
            project: format!("{}/projects/website", self.workspace),
            contact: contact.name.clone(),
            role_in_project: "sponsor".to_owned(),
            ..AssignContactRequest::default()
        };
        self.projects.assign_contact(request).await
    }
}

fn ok<T>(answer: Result<Response<T>, Status>) -> Result<T> {
    answer
        .map(Response::into_inner)
        .map_err(|status| refused(&status))
}

/// Tells of a refusal, which must be for this reason: any other error is none of the story.
fn expect_refusal<T>(
    what: &str,
    reason: Reason,
    answer: Result<Response<T>, Status>,
) -> Result<()> {
    let Err(status) = answer else {
        bail!("{what} should have been refused")
    };
    if proto::status::reason(&status) != Some(reason) {
        return Err(refused(&status)).with_context(|| format!("{what} failed"));
    }
    say(&format!("   {what}: refused"));
    for line in explain(&status).lines() {
        say(&format!("     {line}"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn say(line: &str) {
    println!("{line}");
}
