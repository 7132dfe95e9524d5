//! Invoices on the wire.

use proto::billing::v1;
use proto::convert;
use proto::google::r#type as google;
use rust_decimal::Decimal;
use types::{ContactName, Currency, Money};

use super::tax::{category_from_wire, category_to_wire};
use super::{
    address, address_to_wire, check_labels, check_text, day, decimal, decimal_to_wire,
    money_to_wire,
};
use crate::domain::chain;
use crate::domain::faults::Faults;
use crate::domain::invoices::{
    Content, DocumentAdjustment, Invoice, Line, LineAdjustment, Party, State,
};
use crate::domain::numbers::DEFAULT_SERIES;
use crate::domain::tax::Tax;
use crate::error::Error;

/// UN/ECE Recommendation 20: one.
const UNIT_ONE: &str = "C62";

/// What a caller says about an invoice in `workspace`.
pub fn content_from_wire(invoice: &v1::Invoice, workspace: &str) -> Result<Content, Error> {
    let mut faults = Faults::default();
    let contact = contact(&invoice.contact, workspace, &mut faults);
    let currency: Option<Currency> =
        faults.keep("invoice.currency_code", invoice.currency_code.parse());
    if invoice.lines.is_empty() {
        faults.note("invoice.lines", "must have at least one line");
    }
    let mut lines = Vec::with_capacity(invoice.lines.len());
    for (index, item) in invoice.lines.iter().enumerate() {
        lines.extend(line(
            item,
            &format!("invoice.lines[{index}]"),
            currency,
            &mut faults,
        ));
    }
    let mut adjustments = Vec::with_capacity(invoice.allowance_charges.len());
    for (index, item) in invoice.allowance_charges.iter().enumerate() {
        let field = format!("invoice.allowance_charges[{index}]");
        let adjustment = adjustment(item, &field, currency, &mut faults);
        let tax = tax(
            item.tax_category,
            item.tax_rate.as_ref(),
            &field,
            &mut faults,
        );
        if let (Some(adjustment), Some(tax)) = (adjustment, tax) {
            adjustments.push(DocumentAdjustment { adjustment, tax });
        }
    }
    let prepaid = amount(
        invoice.prepaid_amount.as_ref(),
        "invoice.prepaid_amount",
        &mut faults,
    );
    let rounding = amount(
        invoice.rounding_amount.as_ref(),
        "invoice.rounding_amount",
        &mut faults,
    );
    let buyer = invoice
        .buyer
        .as_ref()
        .map(|buyer| party(buyer, &mut faults));
    let issue_date = day(
        invoice.issue_date.as_ref(),
        "invoice.issue_date",
        &mut faults,
    );
    let due_date = day(invoice.due_date.as_ref(), "invoice.due_date", &mut faults);
    if issue_date
        .zip(due_date)
        .is_some_and(|(issue, due)| due < issue)
    {
        faults.note("invoice.due_date", "must not be before issue_date");
    }
    check_text(&invoice.note, "invoice.note", &mut faults);
    check_labels(&invoice.labels, "invoice", &mut faults);
    if let (false, Some(currency)) = (faults.is_empty(), currency) {
        note_other_currencies(prepaid, rounding, currency, &mut faults);
    }
    faults.into_result()?;
    let (Some(contact), Some(currency)) = (contact, currency) else {
        return Err(Error::Defect("a missing part of an invoice was not noted"));
    };
    Ok(Content {
        contact,
        currency,
        lines,
        adjustments,
        buyer: buyer.filter(|buyer| *buyer != Party::default()),
        series: match invoice.series.as_str() {
            "" => DEFAULT_SERIES.to_owned(),
            series => series.to_owned(),
        },
        issue_date,
        due_date,
        prepaid: in_currency(prepaid, currency, "invoice.prepaid_amount")?,
        rounding: in_currency(rounding, currency, "invoice.rounding_amount")?,
        note: invoice.note.clone(),
        labels: invoice.labels.clone().into_iter().collect(),
    })
}

/// The name of a contact in the workspace of the document.
pub fn contact(name: &str, workspace: &str, faults: &mut Faults) -> Option<ContactName> {
    if name.is_empty() {
        faults.note("invoice.contact", "must be given");
        return None;
    }
    let contact: ContactName = faults.keep("invoice.contact", name.parse())?;
    if contact.workspace != workspace {
        faults.note("invoice.contact", "must be a contact of the same workspace");
        return None;
    }
    Some(contact)
}

fn line(
    item: &v1::LineItem,
    field: &str,
    currency: Option<Currency>,
    faults: &mut Faults,
) -> Option<Line> {
    let path = |part: &str| format!("{field}.{part}");
    check_text(&item.description, &path("description"), faults);
    check_text(&item.unit_code, &path("unit_code"), faults);
    let quantity = decimal(
        item.quantity.as_ref(),
        Decimal::ONE,
        &path("quantity"),
        faults,
    );
    let unit_price = decimal(
        item.unit_price.as_ref(),
        Decimal::ZERO,
        &path("unit_price"),
        faults,
    );
    if unit_price < Decimal::ZERO {
        faults.note(
            path("unit_price"),
            "must not be negative; use a negative quantity",
        );
    }
    let base_quantity = decimal(
        item.base_quantity.as_ref(),
        Decimal::ONE,
        &path("base_quantity"),
        faults,
    );
    if base_quantity <= Decimal::ZERO {
        faults.note(path("base_quantity"), "must be above zero");
    }
    let tax = tax(item.tax_category, item.tax_rate.as_ref(), field, faults);
    let mut adjustments = Vec::with_capacity(item.allowance_charges.len());
    for (index, item) in item.allowance_charges.iter().enumerate() {
        let field = path(&format!("allowance_charges[{index}]"));
        adjustments.extend(adjustment(item, &field, currency, faults));
    }
    Some(Line {
        description: item.description.clone(),
        quantity,
        unit_price,
        base_quantity,
        unit_code: match item.unit_code.as_str() {
            "" => UNIT_ONE.to_owned(),
            code => code.to_owned(),
        },
        tax: tax?,
        adjustments,
    })
}

fn adjustment(
    item: &v1::AllowanceCharge,
    field: &str,
    currency: Option<Currency>,
    faults: &mut Faults,
) -> Option<LineAdjustment> {
    check_text(&item.reason, &format!("{field}.reason"), faults);
    let path = format!("{field}.amount");
    let amount = decimal(item.amount.as_ref(), Decimal::ZERO, &path, faults);
    let money = faults.keep(path, Money::exact(amount, currency?).map_err(described))?;
    Some(LineAdjustment {
        charge: item.charge,
        amount: money.minor_units,
        reason: item.reason.clone(),
    })
}

/// Why an amount is not one of its currency, as a rule.
fn described(error: types::MoneyError) -> &'static str {
    match error {
        types::MoneyError::TooFine => "must not have a fraction of the currency's smallest unit",
        types::MoneyError::TooLarge => "must not be larger than can be computed with",
        types::MoneyError::CurrencyMismatch => "must be in the currency of the document",
    }
}

fn tax(
    category: i32,
    rate: Option<&google::Decimal>,
    field: &str,
    faults: &mut Faults,
) -> Option<Tax> {
    let path = format!("{field}.tax_rate");
    let rate = match rate {
        None => Decimal::ZERO,
        Some(rate) => faults.keep(&path, crate::domain::decimals::parse(&rate.value))?,
    };
    let category = category_from_wire(category);
    faults.keep(path, Tax::new(category, rate))
}

fn amount(value: Option<&google::Money>, field: &str, faults: &mut Faults) -> Option<Money> {
    // A Money without a currency and an amount says as little as none.
    let value = value.filter(|value| **value != google::Money::default())?;
    faults.keep(field, convert::money_from_wire(value))
}

/// Notes the amounts of another currency beside other faults; alone they have a reason of their own.
fn note_other_currencies(
    prepaid: Option<Money>,
    rounding: Option<Money>,
    currency: Currency,
    faults: &mut Faults,
) {
    for (field, amount) in [
        ("invoice.prepaid_amount", prepaid),
        ("invoice.rounding_amount", rounding),
    ] {
        if in_currency(amount, currency, field).is_err() {
            faults.note(field, "must be in the currency of the document");
        }
    }
}

fn in_currency(amount: Option<Money>, currency: Currency, field: &str) -> Result<i64, Error> {
    match amount {
        None => Ok(0),
        Some(amount) if amount.currency == currency => Ok(amount.minor_units),
        Some(amount) => Err(Error::CurrencyMismatch {
            field: field.to_owned(),
            expected: currency.code().to_owned(),
            found: amount.currency.code().to_owned(),
        }),
    }
}

fn party(buyer: &v1::Buyer, faults: &mut Faults) -> Party {
    for (part, text) in [
        ("name", &buyer.name),
        ("tax_id", &buyer.tax_id),
        ("email", &buyer.email),
    ] {
        check_text(text, &format!("invoice.buyer.{part}"), faults);
    }
    Party {
        name: buyer.name.clone(),
        address: buyer
            .postal_address
            .as_ref()
            .map(|value| address(value, "invoice.buyer.postal_address", faults)),
        tax_id: buyer.tax_id.clone(),
        email: buyer.email.clone(),
    }
}

/// An invoice as callers see it.
#[must_use]
pub fn invoice_to_wire(invoice: &Invoice) -> v1::Invoice {
    let content = &invoice.content;
    let currency = content.currency;
    let totals = &invoice.sums.totals;
    let money = |minor_units| Some(money_to_wire(minor_units, currency));
    let given = |minor_units: i64| (minor_units != 0).then(|| money_to_wire(minor_units, currency));
    let seal = invoice.seal.as_ref();
    v1::Invoice {
        name: invoice.name.to_string(),
        contact: content.contact.to_string(),
        currency_code: currency.code().to_owned(),
        lines: content
            .lines
            .iter()
            .zip(&invoice.sums.line_nets)
            .map(|(line, net)| line_to_wire(line, *net, currency))
            .collect(),
        buyer: content.buyer.as_ref().map(party_to_wire),
        state: match invoice.state() {
            State::Draft => v1::invoice::State::Draft,
            State::Issued => v1::invoice::State::Issued,
        }
        .into(),
        series: content.series.clone(),
        number: seal.map(|seal| seal.number.to_string()).unwrap_or_default(),
        issue_date: content.issue_date.map(convert::date_to_wire),
        due_date: content.due_date.map(convert::date_to_wire),
        grant_revision: invoice.evidence.grant_revision,
        policy_revision: invoice.evidence.policy_revision.clone(),
        net_total: money(totals.net),
        tax_total: money(totals.tax),
        gross_total: money(totals.gross),
        payable_total: money(totals.payable),
        tax_subtotals: totals
            .tax_subtotals
            .iter()
            .map(|group| v1::TaxSubtotal {
                tax_category: category_to_wire(group.tax.category()).into(),
                tax_rate: Some(decimal_to_wire(group.tax.rate())),
                taxable_amount: money(group.taxable),
                tax_amount: money(group.amount),
            })
            .collect(),
        allowance_charges: content
            .adjustments
            .iter()
            .map(|item| v1::AllowanceCharge {
                tax_category: category_to_wire(item.tax.category()).into(),
                tax_rate: Some(decimal_to_wire(item.tax.rate())),
                ..adjustment_to_wire(&item.adjustment, currency)
            })
            .collect(),
        line_total: money(totals.lines),
        allowance_total: money(totals.allowances),
        charge_total: money(totals.charges),
        prepaid_amount: given(content.prepaid),
        rounding_amount: given(content.rounding),
        note: content.note.clone(),
        etag: invoice.etag(),
        creator: invoice.creator.clone(),
        updater: invoice.updater.clone(),
        create_time: Some(convert::timestamp_to_wire(invoice.create_time)),
        update_time: Some(convert::timestamp_to_wire(invoice.update_time)),
        issue_time: seal.map(|seal| convert::timestamp_to_wire(seal.issue_time)),
        hash: seal.map(|seal| chain::hex(&seal.hash)).unwrap_or_default(),
        labels: content.labels.clone().into_iter().collect(),
        gross_total_decimal: content.money(totals.gross).amount().to_string(),
        net_total_decimal: content.money(totals.net).amount().to_string(),
        tax_total_decimal: content.money(totals.tax).amount().to_string(),
        payable_total_decimal: content.money(totals.payable).amount().to_string(),
    }
}

fn line_to_wire(line: &Line, net: i64, currency: Currency) -> v1::LineItem {
    v1::LineItem {
        description: line.description.clone(),
        quantity: Some(decimal_to_wire(line.quantity)),
        unit_price: Some(decimal_to_wire(line.unit_price)),
        base_quantity: Some(decimal_to_wire(line.base_quantity)),
        unit_code: line.unit_code.clone(),
        tax_category: category_to_wire(line.tax.category()).into(),
        tax_rate: Some(decimal_to_wire(line.tax.rate())),
        allowance_charges: line
            .adjustments
            .iter()
            .map(|item| adjustment_to_wire(item, currency))
            .collect(),
        net_total: Some(money_to_wire(net, currency)),
    }
}

fn adjustment_to_wire(item: &LineAdjustment, currency: Currency) -> v1::AllowanceCharge {
    let amount = Money {
        minor_units: item.amount,
        currency,
    }
    .amount();
    v1::AllowanceCharge {
        charge: item.charge,
        amount: Some(decimal_to_wire(amount)),
        reason: item.reason.clone(),
        tax_category: v1::TaxCategory::Unspecified.into(),
        tax_rate: None,
    }
}

fn party_to_wire(party: &Party) -> v1::Buyer {
    v1::Buyer {
        name: party.name.clone(),
        postal_address: party.address.as_ref().map(address_to_wire),
        tax_id: party.tax_id.clone(),
        email: party.email.clone(),
    }
}
