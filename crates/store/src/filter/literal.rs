//! The values of a filter, read by the kind of their field.

use aip_160::{Comparator, Member, StringMatch, Value};
use types::Micros;

use super::Kind;

/// What a comparison asks of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The text is as the pattern says.
    Text(Pattern),
    /// The value is this word, one of those declared.
    Word(&'static str),
    /// The value is this.
    Bool(bool),
    /// The number stands in this relation to that one.
    Int(Relation, i64),
    /// The moment stands in this relation to that one.
    Time(Relation, Micros),
    /// The day, written `2026-01-31`, stands in this relation to that one.
    Day(Relation, String),
    /// There is a value, or the map has the key.
    Present,
}

/// How a value stands to the one in the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Is the same.
    Eq,
    /// Is less, or earlier.
    Lt,
    /// Is less, earlier or the same.
    Le,
    /// Is greater, or later.
    Gt,
    /// Is greater, later or the same.
    Ge,
}

/// A text with `*` at its ends or nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// A text that begins so.
    Prefix(String),
    /// A text that ends so.
    Suffix(String),
    /// A text that has this in it.
    Contains(String),
}

impl Pattern {
    /// The same pattern in lower case, for columns that are stored in lower case.
    #[must_use]
    pub fn folded(&self) -> Self {
        self.map(str::to_lowercase)
    }

    /// The same pattern over another form of its text.
    #[must_use]
    pub fn map(&self, form: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Exact(text) => Self::Exact(form(text)),
            Self::Prefix(text) => Self::Prefix(form(text)),
            Self::Suffix(text) => Self::Suffix(form(text)),
            Self::Contains(text) => Self::Contains(form(text)),
        }
    }

    /// The pattern for SQL's `LIKE ... ESCAPE '\'`; `None` where `=` does.
    ///
    /// SQLite's `LIKE` does not tell ASCII capitals apart and PostgreSQL's does: compare columns
    /// that are stored in lower case, with a [`folded`](Self::folded) pattern.
    #[must_use]
    pub fn like(&self) -> Option<String> {
        let escaped = |text: &str| {
            let mut out = String::with_capacity(text.len() + 2);
            for c in text.chars() {
                if matches!(c, '\\' | '%' | '_') {
                    out.push('\\');
                }
                out.push(c);
            }
            out
        };
        match self {
            Self::Exact(_) => None,
            Self::Prefix(text) => Some(format!("{}%", escaped(text))),
            Self::Suffix(text) => Some(format!("%{}", escaped(text))),
            Self::Contains(text) => Some(format!("%{}%", escaped(text))),
        }
    }

    /// The text without its stars.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Contains(text) => {
                text
            }
        }
    }
}

/// Reads the value of a comparison with a field of this kind; the error says what would be right.
pub(super) fn test(kind: Kind, comparator: Comparator, value: &Member) -> Result<Test, String> {
    let relation = match comparator {
        Comparator::Equal | Comparator::NotEqual | Comparator::Has => Relation::Eq,
        Comparator::LessThan => Relation::Lt,
        Comparator::LessThanOrEqual => Relation::Le,
        Comparator::GreaterThan => Relation::Gt,
        Comparator::GreaterThanOrEqual => Relation::Ge,
    };
    if relation != Relation::Eq && !matches!(kind, Kind::Int | Kind::Time | Kind::Day) {
        return Err("this field is compared with = and != only".to_owned());
    }
    let written = text(value).ok_or("the value must be one word or one quoted text")?;
    match kind {
        Kind::Text => pattern(&written).map(Test::Text),
        Kind::Word(words) => words
            .iter()
            .find(|word| **word == written)
            .map(|word| Test::Word(word))
            .ok_or_else(|| format!("the value must be one of {}", words.join(", "))),
        Kind::Bool => match written.as_str() {
            "true" => Ok(Test::Bool(true)),
            "false" => Ok(Test::Bool(false)),
            _ => Err("the value must be true or false".to_owned()),
        },
        Kind::Int => written
            .parse()
            .map(|number| Test::Int(relation, number))
            .map_err(|_| "the value must be a whole number".to_owned()),
        Kind::Time => moment(&written).map(|at| Test::Time(relation, at)),
        Kind::Day => day(&written).map(|day| Test::Day(relation, day)),
    }
}

/// The value as it was written, a word with dots joined again; `None` where a quoted text has
/// something hanging on it.
pub(super) fn text(value: &Member) -> Option<String> {
    if value.is_simple() {
        Some(value.value.as_str().to_owned())
    } else {
        value.field_path()
    }
}

/// Whether the value is a bare `*`: anything at all.
pub(super) fn is_star(value: &Member) -> bool {
    value.is_simple() && value.value == Value::Text("*".to_owned())
}

fn pattern(written: &str) -> Result<Pattern, String> {
    if written.contains('\0') {
        return Err("no stored text has the character U+0000".to_owned());
    }
    let quoted = Value::String(written.to_owned());
    let pattern = match quoted.string_match() {
        Some(StringMatch::Prefix(text)) => Pattern::Prefix(text.to_owned()),
        Some(StringMatch::Suffix(text)) => Pattern::Suffix(text.to_owned()),
        Some(StringMatch::Contains(text)) => Pattern::Contains(text.to_owned()),
        Some(StringMatch::Exact(text)) => Pattern::Exact(text.to_owned()),
        None => Pattern::Exact(written.to_owned()),
    };
    if pattern.text().contains('*') {
        return Err("`*` stands only at the ends of a text".to_owned());
    }
    Ok(pattern)
}

fn moment(written: &str) -> Result<Micros, String> {
    written
        .parse::<jiff::Timestamp>()
        .map(|at| Micros(at.as_microsecond()))
        .map_err(|_| {
            "the value must be a moment in quotes, such as \"2026-01-31T09:30:00Z\"".to_owned()
        })
}

fn day(written: &str) -> Result<String, String> {
    let day = written
        .parse::<jiff::civil::Date>()
        .map(|day| day.to_string());
    day.ok()
        .filter(|day| day == written)
        .ok_or_else(|| "the value must be a day in quotes, such as \"2026-01-31\"".to_owned())
}
