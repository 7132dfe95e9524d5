//! Invoices: drafted, read, listed, changed. Issuing and verifying have files of their own.

use ::store::idempotency::Keep;
use ::store::{Conn, Error as StoreError, change_log, order};
use prost::Message as _;
use proto::billing::v1;
use types::InvoiceName;

use super::calls::{Call, Done, Sent, Write, check_freshness, log_all, replayed, settled};
use super::issues::refusal;
use super::lists;
use super::updates::{ByMask, Update};
use super::{Abort, App, Stop};
use crate::domain::faults::Faults;
use crate::domain::grants::{Entitlement as _, Invoice as InvoiceEntitlement};
use crate::domain::invoices::{self, Content, Invoice};
use crate::error::{Error, Kind};
use crate::store::{grants, invoices as rows};
use crate::wire::invoices::{content_from_wire, invoice_to_wire};
use crate::wire::{Resource as _, masks};

/// A resource name in the field of a request.
pub fn name<N>(field: &str, text: &str) -> Result<N, Error>
where
    N: std::str::FromStr<Err = types::NameError>,
{
    text.parse()
        .map_err(|error| Error::Invalid(Faults::of(field, error)))
}

impl App {
    /// Drafts an invoice for a contact whose grant is held, or can be had.
    pub async fn invoice_create(
        &self,
        call: &Call,
        request: v1::CreateInvoiceRequest,
    ) -> Result<Done<v1::CreateInvoiceResponse>, Error> {
        let workspace = name::<types::WorkspaceName>("parent", &request.parent)?.workspace;
        let sent = Sent {
            method: "InvoiceService/CreateInvoice",
            workspace: &workspace,
            request_id: &request.request_id,
            validate_only: request.validate_only,
            keep: Keep::WEEK,
        };
        let bare = v1::CreateInvoiceRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let write = Write::new(call, sent, &bare, self.clock.now(), &self.ids);
        if let Some(stored) = write.look_up(&self.store, call).await? {
            return replayed(&stored);
        }
        let content = content_from_wire(&request.invoice.unwrap_or_default(), &workspace)?;
        // Checked before pipeline is asked, and once more where the draft is made.
        content.sums()?;
        let given = !request.invoice_id.is_empty();
        let id = if given {
            request.invoice_id
        } else {
            self.ids.next()
        };
        let draft = Drafting {
            name: InvoiceName::new(workspace, id),
            given,
            content,
            write,
        };
        let outcome = self
            .gated(InvoiceEntitlement::KEY, call.deadline, || {
                let (draft, store) = (draft.clone(), self.store.clone());
                self.store.within(&draft.write.workspace).write(
                    "invoices.create",
                    call.deadline,
                    move |conn| create(conn, &draft, store.epoch()),
                )
            })
            .await;
        settled(outcome, |response| {
            response.consistency_token.clear();
            if let Some(invoice) = &mut response.invoice {
                invoice.unstore();
                if !given {
                    invoice.name.clear();
                }
            }
        })
    }

    /// Reads one invoice.
    pub async fn invoice_get(
        &self,
        call: &Call,
        request: v1::GetInvoiceRequest,
    ) -> Result<v1::GetInvoiceResponse, Error> {
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let name = name("name", &request.name)?;
        let invoice = self.invoice_read(call, &name).await?;
        Ok(v1::GetInvoiceResponse {
            invoice: Some(invoice_to_wire(&invoice)),
        })
    }

    pub(super) async fn invoice_read(
        &self,
        call: &Call,
        name: &InvoiceName,
    ) -> Result<Invoice, Error> {
        let wanted = name.clone();
        let found: Option<Invoice> = self
            .store
            .within(&name.workspace)
            .read_point("invoices.get", call.deadline, move |conn| {
                rows::invoice_get(conn, &wanted)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        found.ok_or_else(|| not_found(name))
    }

    /// Lists invoices page by page.
    pub async fn invoice_list(
        &self,
        call: &Call,
        request: v1::ListInvoicesRequest,
    ) -> Result<v1::ListInvoicesResponse, Error> {
        check_freshness(&request.at_least_as_fresh_as, self.store.epoch())?;
        let workspace = name::<types::WorkspaceName>("parent", &request.parent)?.workspace;
        let filter = lists::filter(&request.filter, rows::FIELDS)?;
        let order = lists::order_or(order::parse(&request.order_by, rows::ORDER)?, rows::ORDER);
        let page = page_of(&request)?;
        let query = rows::InvoiceQuery {
            workspace,
            filter,
            order,
        };
        let (invoices, next_page_token) = self
            .store
            .within(&query.workspace)
            .read("invoices.list", call.deadline, move |conn| {
                page.fill(
                    |place| rows::invoice_list(conn, &query, place.after, place.limit),
                    invoice_to_wire,
                )
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        Ok(v1::ListInvoicesResponse {
            invoices,
            next_page_token,
        })
    }

    /// Changes a draft; its sums are computed anew. No grant is needed: nothing is accepted by it.
    pub async fn invoice_update(
        &self,
        call: &Call,
        request: v1::UpdateInvoiceRequest,
    ) -> Result<Done<v1::UpdateInvoiceResponse>, Error> {
        let given = request.invoice.clone().unwrap_or_default();
        let name: InvoiceName = name("invoice.name", &given.name)?;
        let bare = v1::UpdateInvoiceRequest {
            request_id: String::new(),
            ..request.clone()
        };
        let update = Update::<Invoice> {
            workspace: &name.workspace.clone(),
            name,
            etag: lists::etag(&request.etag, &given.etag),
            given,
            mask: request.update_mask.as_ref(),
            request_id: &request.request_id,
            validate_only: request.validate_only,
        };
        self.update(call, update, &bare).await
    }

    /// What this server is and how far its history reaches.
    pub async fn server_info(&self, call: &Call) -> Result<v1::GetServerInfoResponse, Error> {
        let (oldest, newest) = self
            .store
            .across()
            .read("server.info", call.deadline, |conn| {
                let newest = change_log::newest(conn, change_log::Scope::All)?;
                Ok::<_, StoreError>((change_log::oldest(conn)?, newest))
            })
            .await
            .map_err(Error::from)?;
        let capabilities = ["invoices", "projects", "grants_with_recall"];
        Ok(v1::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("CLIENTELE_COMMIT")
                .unwrap_or_default()
                .to_owned(),
            capabilities: capabilities.map(|name| (name.to_owned(), true)).into(),
            oldest_token: super::calls::consistency_token(oldest),
            newest_token: super::calls::consistency_token(self.store.place(newest)),
        })
    }
}

fn page_of(request: &v1::ListInvoicesRequest) -> Result<lists::Page, Error> {
    let v1::ListInvoicesRequest {
        parent,
        filter,
        order_by,
        ..
    } = request;
    let args = ["ListInvoices", parent, filter, order_by];
    lists::Page::read(request.page_size, &request.page_token, &args)
}

/// Everything that is wrong with what ListInvoices is asked for.
pub fn list_faults(request: &v1::ListInvoicesRequest) -> Vec<Error> {
    lists::faults(
        lists::filter(&request.filter, rows::FIELDS),
        order::parse(&request.order_by, rows::ORDER),
        page_of(request),
    )
}

/// A draft in the making.
#[derive(Clone)]
struct Drafting {
    name: InvoiceName,
    /// Whether the caller chose the id, so that it may be taken.
    given: bool,
    content: Content,
    write: Write,
}

fn create(
    conn: &mut Conn,
    drafting: &Drafting,
    holder_epoch: i64,
) -> Result<v1::CreateInvoiceResponse, Abort<v1::CreateInvoiceResponse>> {
    let Drafting {
        name,
        given,
        content,
        write,
    } = drafting;
    write.claim(conn)?;
    let exists = || Error::Exists {
        kind: Kind::Invoice,
        resource: name.to_string(),
    };
    if *given && rows::invoice_exists(conn, name)? {
        return Err(exists().into());
    }
    let held =
        grants::grant_hold::<InvoiceEntitlement>(conn, &content.contact, holder_epoch, write.now)?;
    let Some(mut held) = held else {
        return Err(Stop::NoGrant(content.contact.clone()).into());
    };
    let draft =
        invoices::draft(content.clone(), &held).map_err(|refused| refusal(refused, name))?;
    let inserted = rows::invoice_insert(&mut held, draft, name.clone(), &write.actor, write.now);
    let invoice = match inserted {
        Err(StoreError::UniqueViolation { .. }) => return Err(exists().into()),
        inserted => inserted?,
    };
    let wire = invoice_to_wire(&invoice);
    let (resource, payload) = (name.to_string(), wire.encode_to_vec());
    let change = write.change("invoice.created", &resource, invoice.revision, &payload, "");
    let consistency_token = log_all(held.conn(), &[change])?;
    let response = v1::CreateInvoiceResponse {
        invoice: Some(wire),
        consistency_token,
    };
    write.complete(
        held.conn(),
        &resource,
        invoice.revision,
        &response.encode_to_vec(),
    )?;
    write.end(response)
}

impl ByMask for Invoice {
    type Name = InvoiceName;
    type Wire = v1::Invoice;
    type Response = v1::UpdateInvoiceResponse;

    const KIND: Kind = Kind::Invoice;
    const METHOD: &'static str = "InvoiceService/UpdateInvoice";
    const OP: &'static str = "invoices.update";
    const CHANGE: &'static str = "invoice.updated";

    fn for_change(conn: &mut Conn, name: &InvoiceName) -> Result<Option<Self>, StoreError> {
        rows::invoice_get_for_change(conn, name)
    }

    fn etag(&self) -> String {
        Self::etag(self)
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn changed(self, given: &v1::Invoice, paths: &[String], write: &Write) -> Result<Self, Error> {
        let name = self.name.clone();
        if self.seal.is_some() {
            let invoice = name.to_string();
            return Err(Error::InvoiceIssued { invoice });
        }
        let merged = masks::invoice(invoice_to_wire(&self), given, paths)?;
        let content = content_from_wire(&merged, &name.workspace)?;
        self.revised(content, write.actor.clone(), write.now)
            .map_err(|refused| refusal(refused, &name))
    }

    fn save(&self, conn: &mut Conn) -> Result<(), StoreError> {
        rows::invoice_update(conn, self)
    }

    fn to_wire(&self) -> v1::Invoice {
        invoice_to_wire(self)
    }

    fn response(wire: v1::Invoice, consistency_token: String) -> v1::UpdateInvoiceResponse {
        v1::UpdateInvoiceResponse {
            invoice: Some(wire),
            consistency_token,
        }
    }

    fn parts(response: &mut v1::UpdateInvoiceResponse) -> (Option<&mut v1::Invoice>, &mut String) {
        (response.invoice.as_mut(), &mut response.consistency_token)
    }
}

fn not_found(name: &InvoiceName) -> Error {
    Error::NotFound {
        kind: Kind::Invoice,
        resource: name.to_string(),
    }
}
