//! An invoice as a row, and back.

use ::store::Error;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use types::{ContactName, InvoiceName, Micros};

use crate::domain::chain;
use crate::domain::grants::Evidence;
use crate::domain::invoices::{Content, Invoice, Line, Seal, State, Sums};
use crate::domain::numbers::{InvoiceNumber, Series};
use crate::domain::totals::Totals;
use crate::store::schema::invoices;
use crate::store::{from_json, json};

const TABLE: &str = "invoices";

/// A line with its net.
#[derive(Serialize, Deserialize)]
struct StoredLine {
    #[serde(flatten)]
    line: Line,
    net: i64,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = invoices)]
#[diesel(treat_none_as_null = true)]
pub(super) struct Row {
    pub workspace: String,
    pub invoice: String,
    contact: String,
    currency: String,
    state: String,
    series: String,
    year: Option<i32>,
    pub sequence: Option<i64>,
    number: String,
    issue_date: String,
    due_date: String,
    lines: String,
    adjustments: String,
    buyer: Option<String>,
    tax_subtotals: String,
    line_total: i64,
    allowance_total: i64,
    charge_total: i64,
    net_total: i64,
    tax_total: i64,
    gross_total: i64,
    prepaid: i64,
    rounding: i64,
    payable_total: i64,
    note: String,
    labels: String,
    grant_revision: i64,
    policy_revision: String,
    revision: i64,
    creator: String,
    updater: String,
    create_time: i64,
    update_time: i64,
    issue_time: Option<i64>,
    pub hash: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn of(invoice: &Invoice) -> Self {
        let Invoice {
            name,
            content,
            sums,
            evidence,
            seal,
            ..
        } = invoice;
        let totals = &sums.totals;
        let lines: Vec<StoredLine> = content
            .lines
            .iter()
            .zip(&sums.line_nets)
            .map(|(line, net)| StoredLine {
                line: line.clone(),
                net: *net,
            })
            .collect();
        let day = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string());
        Self {
            workspace: name.workspace.clone(),
            invoice: name.invoice.clone(),
            contact: content.contact.contact.clone(),
            currency: content.currency.code().to_owned(),
            state: invoice.state().as_str().to_owned(),
            series: content.series.clone(),
            year: seal.as_ref().map(|seal| seal.number.series.year),
            sequence: seal.as_ref().map(|seal| seal.number.sequence),
            number: seal
                .as_ref()
                .map(|seal| seal.number.to_string())
                .unwrap_or_default(),
            issue_date: day(content.issue_date).unwrap_or_default(),
            due_date: day(content.due_date).unwrap_or_default(),
            lines: json(&lines),
            adjustments: json(&content.adjustments),
            buyer: content.buyer.as_ref().map(json),
            tax_subtotals: json(&totals.tax_subtotals),
            line_total: totals.lines,
            allowance_total: totals.allowances,
            charge_total: totals.charges,
            net_total: totals.net,
            tax_total: totals.tax,
            gross_total: totals.gross,
            prepaid: content.prepaid,
            rounding: content.rounding,
            payable_total: totals.payable,
            note: content.note.clone(),
            labels: json(&content.labels),
            grant_revision: evidence.grant_revision,
            policy_revision: evidence.policy_revision.clone(),
            revision: invoice.revision,
            creator: invoice.creator.clone(),
            updater: invoice.updater.clone(),
            create_time: invoice.create_time.0,
            update_time: invoice.update_time.0,
            issue_time: seal.as_ref().map(|seal| seal.issue_time.0),
            hash: seal.as_ref().map(|seal| seal.hash.clone()),
        }
    }

    /// The hash of everything in the row but the hash, after the one before it in its series.
    pub(super) fn hash_after(&self, previous: &[u8]) -> [u8; 32] {
        let texts = [
            ("workspace", self.workspace.as_str()),
            ("invoice", &self.invoice),
            ("contact", &self.contact),
            ("currency", &self.currency),
            ("state", &self.state),
            ("series", &self.series),
            ("number", &self.number),
            ("issue_date", &self.issue_date),
            ("due_date", &self.due_date),
            ("lines", &self.lines),
            ("adjustments", &self.adjustments),
            ("buyer", self.buyer.as_deref().unwrap_or_default()),
            ("tax_subtotals", &self.tax_subtotals),
            ("note", &self.note),
            ("labels", &self.labels),
            ("policy_revision", &self.policy_revision),
            ("creator", &self.creator),
            ("updater", &self.updater),
        ];
        let numbers = [
            ("year", i64::from(self.year.unwrap_or_default())),
            ("sequence", self.sequence.unwrap_or_default()),
            ("line_total", self.line_total),
            ("allowance_total", self.allowance_total),
            ("charge_total", self.charge_total),
            ("net_total", self.net_total),
            ("tax_total", self.tax_total),
            ("gross_total", self.gross_total),
            ("prepaid", self.prepaid),
            ("rounding", self.rounding),
            ("payable_total", self.payable_total),
            ("grant_revision", self.grant_revision),
            ("revision", self.revision),
            ("create_time", self.create_time),
            ("update_time", self.update_time),
            ("issue_time", self.issue_time.unwrap_or_default()),
        ]
        .map(|(name, number)| (name, number.to_be_bytes()));
        let texts = texts.iter().map(|(name, text)| (*name, text.as_bytes()));
        let numbers = numbers
            .iter()
            .map(|(name, number)| (*name, number.as_slice()));
        chain::link(previous, &texts.chain(numbers).collect::<Vec<_>>())
    }

    pub(super) fn into_invoice(self) -> Result<Invoice, Error> {
        let name = InvoiceName::new(self.workspace.clone(), self.invoice.clone());
        let id = || name.to_string();
        let corrupt = || Error::Corrupt {
            table: TABLE,
            id: id(),
        };
        let stored: Vec<StoredLine> = from_json(&self.lines, TABLE, id)?;
        let (lines, line_nets) = stored
            .into_iter()
            .map(|stored| (stored.line, stored.net))
            .unzip();
        let day = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| corrupt()),
        };
        let content = Content {
            contact: ContactName::new(self.workspace.clone(), self.contact.clone()),
            currency: self.currency.parse().map_err(|_| corrupt())?,
            lines,
            adjustments: from_json(&self.adjustments, TABLE, id)?,
            buyer: self
                .buyer
                .as_deref()
                .map(|text| from_json(text, TABLE, id))
                .transpose()?,
            series: self.series.clone(),
            issue_date: day(&self.issue_date)?,
            due_date: day(&self.due_date)?,
            prepaid: self.prepaid,
            rounding: self.rounding,
            note: self.note.clone(),
            labels: from_json(&self.labels, TABLE, id)?,
        };
        let totals = Totals {
            lines: self.line_total,
            allowances: self.allowance_total,
            charges: self.charge_total,
            net: self.net_total,
            tax: self.tax_total,
            gross: self.gross_total,
            payable: self.payable_total,
            tax_subtotals: from_json(&self.tax_subtotals, TABLE, id)?,
        };
        let seal = if self.state == State::Issued.as_str() {
            Some(self.seal().ok_or_else(corrupt)?)
        } else {
            None
        };
        Ok(Invoice {
            content,
            sums: Sums { line_nets, totals },
            evidence: Evidence {
                grant_revision: self.grant_revision,
                policy_revision: self.policy_revision,
            },
            seal,
            revision: self.revision,
            creator: self.creator,
            updater: self.updater,
            create_time: Micros(self.create_time),
            update_time: Micros(self.update_time),
            name,
        })
    }

    fn seal(&self) -> Option<Seal> {
        let series = Series {
            series: self.series.clone(),
            year: self.year?,
        };
        Some(Seal {
            number: InvoiceNumber {
                series,
                sequence: self.sequence?,
            },
            issue_time: Micros(self.issue_time?),
            hash: self.hash.clone()?,
        })
    }
}
