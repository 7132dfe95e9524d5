//! How a fact is read when an expression is evaluated.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat};
use types::Micros;

use super::types::FieldType;
use super::variables::Variable;
use crate::facts::{Activity, Attribute, Engagement, Facts};

/// Longer texts are not read: the expression then fails, and a guard that fails denies.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Longer lists and maps are not read.
const ENTRIES_MAX: usize = 1_000;

/// What an expression is evaluated against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub facts: &'a Facts,
    pub engagement: &'a Engagement,
    pub stage: &'a str,
    pub role: &'static str,
    pub entered: Option<Micros>,
    pub activity: Option<&'a Activity>,
    pub reason: &'a str,
    pub actor: &'a str,
    pub now: Micros,
}

/// One fact that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The path, as the expression has it.
    pub path: String,
    pub source: Source,
    /// Read with `.?`: absent is a value, not a failure.
    pub optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Variable(Variable),
    Attribute(String, FieldType),
}

/// The value of a fact at one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fact<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Time(Micros),
    SpanMicros(i64),
    Texts(&'a [String]),
    Labels(&'a BTreeMap<String, String>),
    Checks(&'a BTreeMap<String, bool>),
}

impl Read {
    /// The fact in `scope`; `None` where it is absent, too long, or not what it was declared as.
    pub(crate) fn value<'a>(&'a self, scope: &Scope<'a>) -> Option<Fact<'a>> {
        let fact = match &self.source {
            Source::Variable(variable) => variable_value(*variable, scope),
            Source::Attribute(name, field) => {
                attribute_value(scope.facts.contact.attributes.get(name)?, *field)
            }
        }?;
        fact.is_bounded().then_some(fact)
    }
}

fn variable_value<'a>(variable: Variable, scope: &Scope<'a>) -> Option<Fact<'a>> {
    let contact = &scope.facts.contact;
    let opportunity = &scope.facts.opportunity;
    let engagement = scope.engagement;
    let text = |text: &'a String| Some(Fact::Text(text));
    let count = |count: u32| Some(Fact::Int(i64::from(count)));
    match variable {
        Variable::Kind => text(&contact.kind),
        Variable::HasEmail => Some(Fact::Bool(contact.has_email)),
        Variable::EmailVerified => Some(Fact::Bool(contact.email_verified)),
        Variable::HasPhone => Some(Fact::Bool(contact.has_phone)),
        Variable::HasCompany => Some(Fact::Bool(contact.has_company)),
        Variable::SourceChannel => text(&contact.source.channel),
        Variable::SourceCampaign => text(&contact.source.campaign),
        Variable::SourceReferrer => text(&contact.source.referrer),
        Variable::SourceReferralKind => text(&contact.source.referral_kind),
        Variable::InterestExpressed => Some(Fact::Bool(contact.interest.expressed_time.is_some())),
        Variable::InterestExpressedTime => contact.interest.expressed_time.map(Fact::Time),
        Variable::InterestEvidence => text(&contact.interest.evidence),
        Variable::IdentityVerified => Some(Fact::Bool(contact.identity.verified_time.is_some())),
        Variable::IdentityVerifiedTime => contact.identity.verified_time.map(Fact::Time),
        Variable::IdentityMethod => text(&contact.identity.method),
        Variable::QualificationVerdict => text(&contact.qualification.verdict),
        Variable::QualificationChecklist => Some(Fact::Checks(&contact.qualification.checklist)),
        Variable::Owner => text(&contact.owner),
        Variable::ReadyToBuy => Some(Fact::Bool(contact.ready_to_buy)),
        Variable::NextStepDue => contact.next_step_due.map(Fact::Time),
        Variable::RelationshipKinds => Some(Fact::Texts(&contact.relationship_kinds)),
        Variable::Labels => Some(Fact::Labels(&contact.labels)),
        Variable::PositionStage => Some(Fact::Text(scope.stage)),
        Variable::PositionRole => Some(Fact::Text(scope.role)),
        Variable::PositionEntered => scope.entered.map(Fact::Time),
        Variable::Calls => count(engagement.calls),
        Variable::MailsOut => count(engagement.mails_out),
        Variable::HelpfulMailsSinceEntry => count(engagement.helpful_mails_since_entry),
        Variable::Bookings => count(engagement.bookings),
        Variable::Purchases => count(engagement.purchases),
        Variable::LastActivity => engagement.last_activity.map(Fact::Time),
        Variable::OpportunityState => text(&opportunity.state),
        Variable::OpportunityAmount => Some(Fact::Int(opportunity.amount)),
        Variable::OpportunityCurrency => text(&opportunity.currency),
        Variable::RequestReason => Some(Fact::Text(scope.reason)),
        Variable::RequestActor => Some(Fact::Text(scope.actor)),
        Variable::Now => Some(Fact::Time(scope.now)),
        of_activity => Some(activity_value(of_activity, scope.activity)).flatten(),
    }
}

/// Without an activity its texts are empty, its duration zero, and its time is absent.
fn activity_value(variable: Variable, activity: Option<&Activity>) -> Option<Fact<'_>> {
    let text = |pick: fn(&Activity) -> &str| Some(Fact::Text(activity.map_or("", pick)));
    match variable {
        Variable::ActivityKind => text(|activity| &activity.kind),
        Variable::ActivityOutcome => text(|activity| &activity.outcome),
        Variable::ActivityDirection => text(|activity| &activity.direction),
        Variable::ActivityReferrer => text(|activity| &activity.referrer),
        Variable::ActivityDuration => Some(Fact::SpanMicros(
            activity.map_or(0, |activity| activity.duration_micros),
        )),
        Variable::ActivityHelpful => Some(Fact::Bool(
            activity.is_some_and(|activity| activity.helpful),
        )),
        Variable::ActivityTime => activity.map(|activity| Fact::Time(activity.time)),
        _ => None,
    }
}

fn attribute_value(attribute: &Attribute, field: FieldType) -> Option<Fact<'_>> {
    match (attribute, field) {
        (Attribute::Bool(value), FieldType::Bool) => Some(Fact::Bool(*value)),
        (Attribute::Number(value), FieldType::Double) => Some(Fact::Double(*value)),
        (Attribute::Number(value), FieldType::Int) => whole(*value).map(Fact::Int),
        (Attribute::Text(value), FieldType::String) => Some(Fact::Text(value)),
        (Attribute::Text(value), FieldType::Timestamp) => DateTime::parse_from_rfc3339(value)
            .ok()
            .map(|time| Fact::Time(Micros(time.timestamp_micros()))),
        (Attribute::Text(value), FieldType::Duration) => seconds(value).map(Fact::SpanMicros),
        (Attribute::List(values), FieldType::StringList) => Some(Fact::Texts(values)),
        _ => None,
    }
}

/// A number that JSON could only carry as a double, where it is whole and exact.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is whole and below 2^53, where doubles are exact"
)]
fn whole(value: f64) -> Option<i64> {
    let exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_991.0;
    exact.then_some(value as i64)
}

/// `90s` or `1.5s` as microseconds, the JSON form of a protobuf duration.
fn seconds(text: &str) -> Option<i64> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !digits(fraction) || whole.is_empty() {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let total = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    if whole.starts_with('-') {
        total.checked_sub(micros)
    } else {
        total.checked_add(micros)
    }
}

impl Fact<'_> {
    fn is_bounded(&self) -> bool {
        match self {
            Self::Text(text) => text.len() <= TEXT_BYTES_MAX,
            Self::Texts(texts) => {
                texts.len() <= ENTRIES_MAX && texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX)
            }
            Self::Labels(labels) => labels.len() <= ENTRIES_MAX,
            Self::Checks(checks) => checks.len() <= ENTRIES_MAX,
            _ => true,
        }
    }
}

impl fmt::Display for Fact<'_> {
    /// As people read it in a refusal; cut to 100 characters by whoever shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Time(time) => match DateTime::from_timestamp_micros(time.0) {
                Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
                None => f.write_str("out of range"),
            },
            Self::SpanMicros(micros) => {
                let sign = if *micros < 0 { "-" } else { "" };
                let micros = micros.unsigned_abs();
                let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                write!(f, "{sign}{text}s")
            }
            Self::Texts(texts) => write!(f, "[{}]", texts.join(", ")),
            Self::Labels(labels) => f.debug_map().entries(labels.iter()).finish(),
            Self::Checks(checks) => f.debug_map().entries(checks.iter()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_attributes_are_read_exactly() {
        assert_eq!(seconds("90s"), Some(90_000_000));
        assert_eq!(seconds("-1.5s"), Some(-1_500_000));
        assert_eq!(seconds("0.000001s"), Some(1));
        for wrong in ["", "s", "90", "1.s5", "a1s", "99999999999999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }
}
