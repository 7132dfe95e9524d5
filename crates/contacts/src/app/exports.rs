//! Writing contacts as files, page by page, so that memory stays flat.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use store::filter::Expr;
use store::pages::Key;
use types::Deadline;

use super::{App, contact_filter};
use crate::domain::imports::Format;
use crate::error::Error;
use crate::formats::csv::Writer;
use crate::formats::vcard::{Version, write_card};
use crate::store::contacts::{self as rows, ContactList, SortKey};
use crate::wire::contacts::message;
use crate::wire::{ndjson, records};

/// How many contacts are read at once.
const PAGE: i64 = 200;

/// How many bytes a piece of the file has at most.
const PIECE_BYTES: usize = 64 * 1024;

/// How long reading one page may take.
const READ_TIME: Duration = Duration::from_secs(30);

/// A file that is being written.
pub struct Export {
    app: App,
    workspace: String,
    format: Format,
    filter: Option<Expr>,
    after: Option<Vec<Key>>,
    csv: Writer,
    buffer: Vec<u8>,
    has_all: bool,
}

impl App {
    /// Begins the file of the contacts that a filter lets pass, in the order of their creation.
    pub fn export_contacts(
        &self,
        workspace: String,
        format: Format,
        filter: &str,
    ) -> Result<Export, Error> {
        let csv = Writer::new();
        let mut buffer = Vec::new();
        if format == Format::Csv {
            csv.write_header(&mut buffer);
        }
        Ok(Export {
            app: self.clone(),
            workspace,
            format,
            filter: contact_filter(filter)?,
            after: None,
            csv,
            buffer,
            has_all: false,
        })
    }
}

impl Export {
    /// The next piece of the file, at most 64 KiB; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while self.buffer.len() < PIECE_BYTES && !self.has_all {
            self.read_page().await?;
        }
        let end = self.buffer.len().min(PIECE_BYTES);
        if end == 0 {
            return Ok(None);
        }
        let rest = self.buffer.split_off(end);
        Ok(Some(std::mem::replace(&mut self.buffer, rest)))
    }

    async fn read_page(&mut self) -> Result<(), Error> {
        let list = ContactList {
            workspace: self.workspace.clone(),
            filter: self.filter.clone(),
            show_deleted: false,
            order: vec![(SortKey::CreateTime, false)],
            after: self.after.take(),
            limit: PAGE,
        };
        let deadline = Deadline::after(READ_TIME);
        let page =
            self.app
                .store
                .within(&list.workspace)
                .read("contacts.export", deadline, move |conn| {
                    let page = rows::contacts_list(conn, &list)?;
                    let companies: BTreeSet<String> = page
                        .iter()
                        .map(|(contact, _)| contact.facts.company.clone())
                        .filter(|company| !company.is_empty())
                        .collect();
                    let companies: Vec<String> = companies.into_iter().collect();
                    let companies = rows::contacts_get(conn, &list.workspace, &companies)?;
                    Ok::<_, store::Error>((page, companies))
                });
        let (page, companies) = page.await?;
        let companies: HashMap<String, String> = companies
            .into_iter()
            .map(|company| (company.name.contact.clone(), company.facts.shown_name()))
            .collect();
        self.has_all = i64::try_from(page.len()).unwrap_or(i64::MAX) < PAGE;
        self.after = page.last().map(|(_, keys)| keys.clone());
        for (contact, _) in &page {
            let shown = message(contact);
            let company = companies.get(&contact.facts.company).map(String::as_str);
            match self.format {
                Format::Ndjson => {
                    // A file that leaves somebody out must not look complete.
                    if !ndjson::write_line(&shown, &mut self.buffer) {
                        return Err(Error::Store(store::Error::Corrupt {
                            table: "contacts",
                            id: shown.name,
                        }));
                    }
                }
                Format::Csv => {
                    let record = records::record(&shown, company);
                    self.csv.write_row(&record, &mut self.buffer);
                }
                Format::Vcard => {
                    let mut card = String::new();
                    write_card(&records::record(&shown, company), Version::V4, &mut card);
                    self.buffer.extend_from_slice(card.as_bytes());
                }
            }
        }
        Ok(())
    }
}
