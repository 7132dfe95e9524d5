//! The list of invoices: filter, order and place as one query.

use ::store::filter::{Comparison, Expr, Field, Kind, Pattern, Relation, Test};
use ::store::order;
use ::store::pages::Key;
use ::store::{Beyond, Conn, Error, kept_if};
use diesel::prelude::*;

use super::row::Row;
use crate::domain::invoices::Invoice;
use crate::store::lists::{
    Condition, Db, Side, after_place, contact_ids, contains, filtered, label_needle, lies, text_is,
    then_by, value_is,
};
use crate::store::schema::invoices;

/// What invoices can be filtered by.
pub const FIELDS: &[Field] = &[
    Field::one("contact", Kind::Text),
    Field::one("state", Kind::Word(&["DRAFT", "ISSUED"])),
    Field::one("series", Kind::Text),
    Field::one("number", Kind::Text),
    Field::one("currency_code", Kind::Text),
    Field::one("issue_date", Kind::Day),
    Field::one("due_date", Kind::Day),
    Field::one("create_time", Kind::Time),
    Field::map("labels"),
];

/// What invoices can be sorted by; the first is the list's own order.
pub const ORDER: &[&str] = &["create_time", "issue_date", "number"];

/// Which invoices, in which order.
#[derive(Clone, Debug)]
pub struct InvoiceQuery {
    /// The workspace's id.
    pub workspace: String,
    /// Which of its invoices.
    pub filter: Option<Expr>,
    /// The order, never empty; the id breaks ties.
    pub order: Vec<order::Key>,
}

/// Invoices, each with the keys by which a list goes on after it.
pub type InvoicePage = Vec<(Invoice, Vec<Key>)>;

type On = invoices::table;

/// The first `limit` invoices of a list after the one with the keys and the id in `after`. Errors:
/// `PageTokenInvalid` where these do not fit the order.
pub fn invoice_list(
    conn: &mut Conn,
    list: &InvoiceQuery,
    after: Option<&[Key]>,
    limit: i64,
) -> Result<InvoicePage, Error> {
    let mut query = invoices::table
        .filter(invoices::workspace.eq(&list.workspace))
        .select(invoices::all_columns)
        .limit(limit)
        .into_boxed::<Db>();
    if let Some(filter) = &list.filter {
        query = query.filter(filtered(filter, |comparison| {
            condition(&list.workspace, comparison)
        }));
    }
    if let Some(after) = after {
        query = query.filter(after_place!(
            &list.order,
            after,
            invoices::invoice,
            lies_at,
            add_key
        ));
    }
    let mut descending = false;
    for key in &list.order {
        descending = key.descending;
        query = match key.field {
            "issue_date" => then_by!(query, invoices::issue_date, descending),
            "number" => then_by!(query, invoices::number, descending),
            _ => then_by!(query, invoices::create_time, descending),
        };
    }
    query = then_by!(query, invoices::invoice, descending);
    // Other lists have too many forms for their plans to be kept.
    let is_plain = list.filter.is_none() && list.order.len() == 1;
    let rows: Vec<Row> = kept_if(is_plain, query).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let invoice = row.into_invoice()?;
            let keys = keys_of(&invoice, &list.order);
            Ok((invoice, keys))
        })
        .collect()
}

fn keys_of(invoice: &Invoice, order: &[order::Key]) -> Vec<Key> {
    let key = |key: &order::Key| match key.field {
        "issue_date" => {
            let day = invoice.content.issue_date;
            Key::Text(day.map(|day| day.to_string()).unwrap_or_default())
        }
        "number" => {
            let seal = invoice.seal.as_ref();
            Key::Text(seal.map(|seal| seal.number.to_string()).unwrap_or_default())
        }
        _ => Key::Int(invoice.create_time.0),
    };
    order
        .iter()
        .map(key)
        .chain([Key::Text(invoice.name.invoice.clone())])
        .collect()
}

fn lies_at(field: &str, side: Side, value: &Key) -> Result<Condition<On>, Error> {
    Ok(match (field, value) {
        ("create_time", Key::Int(value)) => lies!(invoices::create_time, side, *value),
        ("issue_date", Key::Text(value)) => lies!(invoices::issue_date, side, value.clone()),
        ("number", Key::Text(value)) => lies!(invoices::number, side, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn add_key(place: Beyond<On>, field: &str, value: &Key) -> Result<Beyond<On>, Error> {
    Ok(match (field, value) {
        ("create_time", Key::Int(value)) => place.key(invoices::create_time, *value),
        ("issue_date", Key::Text(value)) => place.key(invoices::issue_date, value.clone()),
        ("number", Key::Text(value)) => place.key(invoices::number, value.clone()),
        _ => return Err(Error::PageTokenInvalid),
    })
}

fn condition(workspace: &str, comparison: &Comparison) -> Condition<On> {
    match (comparison.field, comparison.test.clone()) {
        ("contact", Test::Text(pattern)) => match contact_ids(workspace, &pattern) {
            Some(ids) => text_is!(invoices::contact, ids),
            None => Box::new(invoices::contact.eq("")),
        },
        ("state", Test::Word(word)) => Box::new(invoices::state.eq(word)),
        ("series", Test::Text(pattern)) => text_is!(invoices::series, pattern),
        ("number", Test::Text(pattern)) => text_is!(invoices::number, pattern),
        ("currency_code", Test::Text(pattern)) => text_is!(invoices::currency, pattern),
        ("create_time", Test::Time(relation, at)) => {
            value_is!(invoices::create_time, relation, at.0)
        }
        // A day that is not said yet is neither before nor after any other.
        ("issue_date", Test::Day(relation, day)) => {
            let stands: Condition<On> = value_is!(invoices::issue_date, relation, day);
            Box::new(invoices::issue_date.ne("").and(stands))
        }
        ("due_date", Test::Day(relation, day)) => {
            let stands: Condition<On> = value_is!(invoices::due_date, relation, day);
            Box::new(invoices::due_date.ne("").and(stands))
        }
        ("labels", _) => Box::new(contains!(invoices::labels, label_needle(comparison))),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(invoices::invoice.eq("")),
    }
}
