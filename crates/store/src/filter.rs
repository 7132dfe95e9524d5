//! List filters in the language of AIP-160, checked against the fields that a list declares.
//!
//! A service declares its fields once, parses the text of a request with [`parse`] and lowers the
//! checked tree to its own SQL with [`Expr::fold`]; what a field means there is the service's:
//!
//! ```
//! use store::filter::{self, Comparison, Field, Kind, Test};
//!
//! const FIELDS: &[Field] = &[
//!     Field::one("display_name", Kind::Text),
//!     Field::one("state", Kind::Word(&["OPEN", "DONE"])),
//!     Field::map("labels"),
//! ];
//! let found = filter::parse(r#"state = OPEN AND NOT labels.tier = "gold*""#, FIELDS)?;
//! let sql = found.map(|expr| {
//!     expr.fold(
//!         &mut |comparison: &Comparison| match (comparison.field, &comparison.test) {
//!             ("state", Test::Word(word)) => format!("state = '{word}'"),
//!             (field, test) => format!("{field} ~ {test:?}"), // a Diesel expression in earnest
//!         },
//!         |one| format!("NOT ({one})"),
//!         |left, right| format!("({left} AND {right})"),
//!         |left, right| format!("({left} OR {right})"),
//!     )
//! });
//! assert!(sql.is_some_and(|sql| sql.starts_with("(state = 'OPEN' AND NOT (labels ~")));
//! # Ok::<(), filter::FilterError>(())
//! ```
//!
//! Rules beyond AIP-160, because texts that parse may still not mean what their author thinks:
//! `AND`, `OR` and `NOT` in capitals only; a bare word, or two terms without an operator between
//! them, is an error; `!=` is the negation of `=`; `:` ("has") is for maps and repeated fields; `*`
//! stands only at the ends of a text. Texts are compared without regard to case where the service
//! stores them so ([`Pattern::folded`]). At most 1 KiB, 20 terms and 8 levels of nesting.
//!
//! Invariant: no field, operator or value reaches a service that its declaration does not allow.

mod literal;
mod scan;

use aip_160::{
    Arg, Comparable, Comparator, Expression, FilterError as SyntaxError, Member, Restriction, Value,
};

pub use literal::{Pattern, Relation, Test};
use scan::Place;

/// How many bytes a filter may have.
pub const BYTES_MAX: usize = 1024;
/// How many comparisons a filter may have.
pub const TERMS_MAX: usize = 20;
/// How many levels of parentheses a filter may have.
pub const DEPTH_MAX: usize = 8;

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: `=` and `!=`, with `*` at either end of the text.
    Text,
    /// One of these words, an enum's names without their prefix: `=` and `!=`.
    Word(&'static [&'static str]),
    /// `true` or `false`: `=` and `!=`.
    Bool,
    /// A whole number: all comparisons.
    Int,
    /// A moment as RFC 3339 in quotes: all comparisons.
    Time,
    /// A day of the calendar as `"2026-01-31"`: all comparisons.
    Day,
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    Many,
    Map,
}

/// A field that a list can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    shape: Shape,
}

impl Field {
    /// A field with one value. The name may have dots: `source.channel`.
    #[must_use]
    pub const fn one(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            shape: Shape::One,
        }
    }

    /// A repeated field: `name:value` asks whether one of its values is this one, `name:*` whether
    /// it has any.
    #[must_use]
    pub const fn many(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            shape: Shape::Many,
        }
    }

    /// A map of texts: `name.KEY = "value"`, and `name:KEY` or `name.KEY:*` for "has the key".
    #[must_use]
    pub const fn map(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
            shape: Shape::Map,
        }
    }
}

/// A checked filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Every one of these holds; never empty.
    All(Vec<Expr>),
    /// At least one of these holds; never empty.
    Any(Vec<Expr>),
    /// This does not hold.
    Not(Box<Expr>),
    /// This comparison holds.
    Is(Comparison),
}

/// One comparison of a checked filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The declared name of the field.
    pub field: &'static str,
    /// The key, where the field is a map.
    pub key: Option<String>,
    /// What is asked of the value.
    pub test: Test,
}

/// Why a filter was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, at byte {offset}: {problem}")]
pub struct FilterError {
    /// Where in the text, in bytes from 0.
    pub offset: usize,
    /// The field in question, as it was written; empty where none is.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl FilterError {
    fn at(offset: usize, problem: impl Into<String>) -> Self {
        Self {
            offset,
            field: String::new(),
            problem: problem.into(),
        }
    }
}

impl Expr {
    /// Lowers the tree to a service's own conditions, from the comparisons upwards.
    pub fn fold<T>(
        &self,
        comparison: &mut impl FnMut(&Comparison) -> T,
        not: fn(T) -> T,
        and: fn(T, T) -> T,
        or: fn(T, T) -> T,
    ) -> T {
        let mut joined = |parts: &[Self], join: fn(T, T) -> T| {
            let (first, rest) = parts.split_first()?;
            let first = first.fold(comparison, not, and, or);
            Some(rest.iter().fold(first, |whole, part| {
                join(whole, part.fold(comparison, not, and, or))
            }))
        };
        match self {
            Self::All(parts) => joined(parts, and).expect("a conjunction has parts"),
            Self::Any(parts) => joined(parts, or).expect("a disjunction has parts"),
            Self::Not(part) => not(part.fold(comparison, not, and, or)),
            Self::Is(found) => comparison(found),
        }
    }
}

/// Reads a filter; `None` where the text is blank and so everything matches.
///
/// # Errors
///
/// The first thing that is wrong, with the byte it was found at.
pub fn parse(text: &str, fields: &[Field]) -> Result<Option<Expr>, FilterError> {
    if text.len() > BYTES_MAX {
        let problem = format!("a filter has at most {BYTES_MAX} bytes");
        return Err(FilterError::at(BYTES_MAX, problem));
    }
    let tree = aip_160::parse_filter_with_max_depth(text, DEPTH_MAX)
        .map_err(|error| syntax_error(text, error))?;
    let Some(tree) = tree.expression else {
        return Ok(None);
    };
    let places = scan::places(text);
    if let Some(place) = places.get(TERMS_MAX) {
        let problem = format!("a filter has at most {TERMS_MAX} comparisons");
        return Err(FilterError::at(place.term, problem));
    }
    let mut checker = Checker {
        fields,
        places: places.into_iter(),
        last: text.len(),
    };
    checker.expr(&tree).map(Some)
}

fn syntax_error(text: &str, error: SyntaxError) -> FilterError {
    match error {
        SyntaxError::Syntax { offset, message } => FilterError::at(offset, message),
        SyntaxError::TooDeep { limit } => FilterError::at(
            scan::depth_exceeded(text, limit),
            format!("parentheses are nested deeper than {limit} levels"),
        ),
        other => FilterError::at(0, other.to_string()),
    }
}

/// Walks the parsed tree, whose terms come in the order of the text, along with their places.
struct Checker<'a> {
    fields: &'a [Field],
    places: std::vec::IntoIter<Place>,
    last: usize,
}

impl Checker<'_> {
    fn place(&mut self) -> Place {
        self.places.next().unwrap_or(Place {
            term: self.last,
            value: self.last,
        })
    }

    fn expr(&mut self, tree: &Expression) -> Result<Expr, FilterError> {
        match tree {
            Expression::And(parts) => self.parts(parts).map(Expr::All),
            Expression::Or(parts) => self.parts(parts).map(Expr::Any),
            Expression::Not(part) => Ok(Expr::Not(Box::new(self.expr(part)?))),
            Expression::Restriction(restriction) => self.restriction(restriction),
            Expression::Sequence(parts) => {
                // The first part is checked for its own sake: `colour and x` is about `colour`.
                if let Some(first) = parts.first() {
                    self.expr(first)?;
                }
                let place = self.place();
                Err(FilterError::at(
                    place.term,
                    "two comparisons need AND or OR, in capitals, between them",
                ))
            }
            Expression::Global(comparable) => {
                let place = self.place();
                Err(FilterError {
                    offset: place.term,
                    field: comparable.field_path().unwrap_or_default(),
                    problem: match comparable {
                        Comparable::Function(_) => "there are no functions here".to_owned(),
                        Comparable::Member(_) => "a comparison is a field, an operator (= != < \
                            <= > >= :) and a value; AND, OR and NOT are in capitals"
                            .to_owned(),
                    },
                })
            }
        }
    }

    fn parts(&mut self, parts: &[Expression]) -> Result<Vec<Expr>, FilterError> {
        parts.iter().map(|part| self.expr(part)).collect()
    }

    fn restriction(&mut self, restriction: &Restriction) -> Result<Expr, FilterError> {
        let place = self.place();
        let Comparable::Member(member) = &restriction.comparable else {
            return Err(FilterError::at(place.term, "there are no functions here"));
        };
        let written = member.field_path().unwrap_or_else(|| member.to_string());
        let about = |offset: usize, problem: String| FilterError {
            offset,
            field: written.clone(),
            problem,
        };
        let (field, key) = self.field(member).ok_or_else(|| {
            let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
            about(
                place.term,
                format!("there is no such field; there are {}", known.join(", ")),
            )
        })?;
        let Arg::Comparable(Comparable::Member(value)) = &restriction.arg else {
            return Err(about(
                place.value,
                "the value must be a plain value".to_owned(),
            ));
        };
        let has_key = key.is_some();
        let (test, key) = match (field.shape, restriction.comparator) {
            (Shape::Map, Comparator::Has) if !has_key => (Test::Present, literal::text(value)),
            (Shape::Map, _) if !has_key => {
                let problem = format!("compare one key: {}.KEY = \"value\"", field.name);
                return Err(about(place.term, problem));
            }
            (Shape::Many | Shape::Map, Comparator::Has) if literal::is_star(value) => {
                (Test::Present, key)
            }
            (Shape::Many | Shape::Map, Comparator::Has) => {
                let test = literal::test(field.kind, Comparator::Equal, value);
                (test.map_err(|problem| about(place.value, problem))?, key)
            }
            (Shape::Many, _) => {
                let problem = format!("ask whether it has a value: {}:VALUE", field.name);
                return Err(about(place.term, problem));
            }
            (Shape::One, Comparator::Has) => {
                return Err(about(
                    place.term,
                    "`:` is for maps and repeated fields; use =".to_owned(),
                ));
            }
            (Shape::One | Shape::Map, comparator) => {
                let test = literal::test(field.kind, comparator, value);
                (test.map_err(|problem| about(place.value, problem))?, key)
            }
        };
        let found = Expr::Is(Comparison {
            field: field.name,
            key,
            test,
        });
        Ok(if restriction.comparator == Comparator::NotEqual {
            Expr::Not(Box::new(found))
        } else {
            found
        })
    }

    /// The declared field that `member` names, with the key where the field is a map.
    fn field(&self, member: &Member) -> Option<(Field, Option<String>)> {
        let segments: Vec<&Value> = std::iter::once(&member.value)
            .chain(&member.fields)
            .collect();
        self.fields.iter().find_map(|field| {
            let mut rest = segments.iter();
            for part in field.name.split('.') {
                let segment = rest.next()?;
                if segment.is_quoted() || segment.as_str() != part {
                    return None;
                }
            }
            match (field.shape, rest.as_slice()) {
                (_, []) => Some((*field, None)),
                (Shape::Map, [key]) => Some((*field, Some(key.as_str().to_owned()))),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests;
