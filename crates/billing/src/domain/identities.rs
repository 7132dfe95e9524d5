//! The identities that the figures of any invoice must satisfy (EN 16931 and Peppol BIS), checked
//! on whatever figures are there, however they came about.
//!
//! `totals` computes figures; this file judges them and shares none of its code, so that it can
//! check a document once more before it is frozen.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};

/// A rule of EN 16931 (BR-...) or Peppol BIS Billing (R...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// BR-CO-10: the sum of line nets is the sum of the lines' nets.
    LineTotal,
    /// BR-CO-11: the sum of allowances is the sum of the document's allowances.
    AllowanceTotal,
    /// BR-CO-12: the sum of charges is the sum of the document's charges.
    ChargeTotal,
    /// BR-CO-13: net is lines less allowances plus charges.
    NetTotal,
    /// BR-CO-14: the tax is the sum of the tax per category and rate.
    TaxTotal,
    /// BR-CO-15: gross is net plus tax.
    GrossTotal,
    /// BR-CO-16: payable is gross less what was paid before plus rounding.
    PayableTotal,
    /// BR-CO-17: tax is the taxable amount times the rate; the official check tolerates less than 1.
    TaxAmount,
    /// BR-S-08 and its kin: what is taxed is the nets, less allowances, plus charges, of that
    /// category and rate.
    TaxableAmount,
    /// PEPPOL-EN16931-R040: an allowance or charge is its base times its percentage, within 0.02.
    PercentageAmount,
    /// PEPPOL-EN16931-R120: a line's net is quantity times price by base quantity, plus charges,
    /// less allowances, within 0.02.
    LineNet,
}

impl Rule {
    /// The id that the rule lists have.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::LineTotal => "BR-CO-10",
            Self::AllowanceTotal => "BR-CO-11",
            Self::ChargeTotal => "BR-CO-12",
            Self::NetTotal => "BR-CO-13",
            Self::TaxTotal => "BR-CO-14",
            Self::GrossTotal => "BR-CO-15",
            Self::PayableTotal => "BR-CO-16",
            Self::TaxAmount => "BR-CO-17",
            Self::TaxableAmount => "BR-S-08",
            Self::PercentageAmount => "R040",
            Self::LineNet => "R120",
        }
    }
}

/// The category code and rate of a tax, as a document shows them.
pub type TaxKey = (String, Decimal);

/// An allowance or charge, of a line or of the document.
#[derive(Clone, Debug)]
pub struct AdjustmentFigures {
    /// Put on rather than taken off.
    pub charge: bool,
    /// The amount.
    pub amount: Decimal,
    /// What it is a percentage of, where that is said.
    pub base: Option<Decimal>,
    /// The percentage, where one is said.
    pub percent: Option<Decimal>,
    /// The tax on it; lines have none of their own.
    pub tax: Option<TaxKey>,
}

/// The figures of a line; what a document does not show is not checked.
#[derive(Clone, Debug)]
pub struct LineFigures {
    /// The net shown.
    pub net: Decimal,
    /// The quantity and the price, where both are shown.
    pub quantity_and_price: Option<(Decimal, Decimal)>,
    /// What the price is for; 1 where it is not said.
    pub base_quantity: Option<Decimal>,
    /// The line's allowances and charges.
    pub adjustments: Vec<AdjustmentFigures>,
    /// The tax on it, where shown.
    pub tax: Option<TaxKey>,
}

/// A tax subtotal as shown.
#[derive(Clone, Debug)]
pub struct SubtotalFigures {
    /// The category and rate.
    pub tax: TaxKey,
    /// The amount taxed.
    pub taxable: Decimal,
    /// The tax.
    pub amount: Decimal,
}

/// The figures of a document, in major units; `None` and empty lists are not shown, not zero.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The lines.
    pub lines: Vec<LineFigures>,
    /// Allowances and charges on the whole document.
    pub adjustments: Vec<AdjustmentFigures>,
    /// The tax per category and rate.
    pub tax_subtotals: Vec<SubtotalFigures>,
    /// BT-106.
    pub line_total: Option<Decimal>,
    /// BT-107.
    pub allowance_total: Option<Decimal>,
    /// BT-108.
    pub charge_total: Option<Decimal>,
    /// BT-109.
    pub net_total: Option<Decimal>,
    /// BT-110.
    pub tax_total: Option<Decimal>,
    /// BT-112.
    pub gross_total: Option<Decimal>,
    /// BT-113.
    pub prepaid: Option<Decimal>,
    /// BT-114.
    pub rounding: Option<Decimal>,
    /// BT-115.
    pub payable_total: Option<Decimal>,
}

/// Every rule that the figures break, in the order of [`Rule`]; arithmetic beyond the range of
/// decimals counts as broken.
#[must_use]
pub fn broken(figures: &Figures) -> Vec<Rule> {
    let checks = [
        (Rule::LineTotal, line_total_holds(figures)),
        (Rule::AllowanceTotal, adjustment_total_holds(figures, false)),
        (Rule::ChargeTotal, adjustment_total_holds(figures, true)),
        (Rule::NetTotal, net_total_holds(figures)),
        (Rule::TaxTotal, tax_total_holds(figures)),
        (Rule::GrossTotal, gross_total_holds(figures)),
        (Rule::PayableTotal, payable_total_holds(figures)),
        (Rule::TaxAmount, tax_amounts_hold(figures)),
        (Rule::TaxableAmount, taxable_amounts_hold(figures)),
        (Rule::PercentageAmount, percentages_hold(figures)),
        (Rule::LineNet, line_nets_hold(figures)),
    ];
    checks
        .into_iter()
        .filter(|(_, holds)| *holds == Some(false))
        .map(|(rule, _)| rule)
        .collect()
}

/// What a check says: `None` where the figures it needs are not shown.
type Holds = Option<bool>;

/// Whether a sum is what is shown; a sum that does not fit is not.
fn equal(sum: Option<Decimal>, shown: Decimal) -> bool {
    sum == Some(shown)
}

fn sum(amounts: impl IntoIterator<Item = Decimal>) -> Option<Decimal> {
    amounts
        .into_iter()
        .try_fold(Decimal::ZERO, Decimal::checked_add)
}

fn line_total_holds(figures: &Figures) -> Holds {
    if figures.lines.is_empty() {
        return None;
    }
    Some(equal(
        sum(figures.lines.iter().map(|line| line.net)),
        figures.line_total?,
    ))
}

fn adjustment_total_holds(figures: &Figures, charge: bool) -> Holds {
    let shown = if charge {
        figures.charge_total
    } else {
        figures.allowance_total
    };
    let of_kind = figures
        .adjustments
        .iter()
        .filter(|item| item.charge == charge);
    if shown.is_none() && of_kind.clone().next().is_none() || figures.lines.is_empty() {
        return None;
    }
    Some(equal(
        sum(of_kind.map(|item| item.amount)),
        shown.unwrap_or_default(),
    ))
}

fn net_total_holds(figures: &Figures) -> Holds {
    let expected = figures
        .line_total?
        .checked_sub(figures.allowance_total.unwrap_or_default())
        .and_then(|net| net.checked_add(figures.charge_total.unwrap_or_default()));
    Some(equal(expected, figures.net_total?))
}

fn tax_total_holds(figures: &Figures) -> Holds {
    if figures.tax_subtotals.is_empty() {
        return None;
    }
    Some(equal(
        sum(figures.tax_subtotals.iter().map(|group| group.amount)),
        figures.tax_total?,
    ))
}

fn gross_total_holds(figures: &Figures) -> Holds {
    Some(equal(
        figures.net_total?.checked_add(figures.tax_total?),
        figures.gross_total?,
    ))
}

fn payable_total_holds(figures: &Figures) -> Holds {
    let expected = figures
        .gross_total?
        .checked_sub(figures.prepaid.unwrap_or_default())
        .and_then(|rest| rest.checked_add(figures.rounding.unwrap_or_default()));
    Some(equal(expected, figures.payable_total?))
}

fn tax_amounts_hold(figures: &Figures) -> Holds {
    all(&figures.tax_subtotals, |group| {
        let expected = percentage(group.taxable, group.tax.1)?;
        Some((expected - group.amount).abs() < Decimal::ONE)
    })
}

fn taxable_amounts_hold(figures: &Figures) -> Holds {
    let mut groups: BTreeMap<&TaxKey, Decimal> = BTreeMap::new();
    let lines = figures
        .lines
        .iter()
        .map(|line| (line.tax.as_ref(), line.net));
    let adjustments = figures.adjustments.iter().map(|item| {
        let amount = if item.charge {
            item.amount
        } else {
            -item.amount
        };
        (item.tax.as_ref(), amount)
    });
    for (tax, amount) in lines.chain(adjustments) {
        let group = groups.entry(tax?).or_default();
        *group = group.checked_add(amount)?;
    }
    all(&figures.tax_subtotals, |shown| {
        Some(groups.get(&shown.tax).copied().unwrap_or_default() == shown.taxable)
    })
}

fn percentages_hold(figures: &Figures) -> Holds {
    let of_lines = figures.lines.iter().flat_map(|line| &line.adjustments);
    let with_percentage: Vec<_> = of_lines
        .chain(&figures.adjustments)
        .filter_map(|item| Some((item.amount, item.base?, item.percent?)))
        .collect();
    all(&with_percentage, |(amount, base, percent)| {
        Some(within_two_cents(percentage(*base, *percent)?, *amount))
    })
}

fn line_nets_hold(figures: &Figures) -> Holds {
    let with_price: Vec<_> = figures
        .lines
        .iter()
        .filter_map(|line| Some((line, line.quantity_and_price?)))
        .collect();
    all(&with_price, |(line, (quantity, price))| {
        let base = line.base_quantity.unwrap_or(Decimal::ONE);
        // In the order of the rule; the price of one unit fits where the whole product may not.
        let gross = price.checked_div(base)?.checked_mul(*quantity)?;
        let net = line.adjustments.iter().try_fold(gross, |net, item| {
            net.checked_add(if item.charge {
                item.amount
            } else {
                -item.amount
            })
        })?;
        Some(within_two_cents(net, line.net))
    })
}

/// Whether the check holds for all items; `None` where there is none, broken where it can't be
/// computed.
fn all<T>(items: &[T], check: impl Fn(&T) -> Option<bool>) -> Holds {
    if items.is_empty() {
        return None;
    }
    Some(items.iter().all(|item| check(item) == Some(true)))
}

fn percentage(base: Decimal, percent: Decimal) -> Option<Decimal> {
    base.checked_mul(percent)?.checked_div(Decimal::ONE_HUNDRED)
}

fn within_two_cents(expected: Decimal, shown: Decimal) -> bool {
    let cents = expected.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    (cents - shown).abs() <= Decimal::new(2, 2) || (expected - shown).abs() <= Decimal::new(2, 2)
}
