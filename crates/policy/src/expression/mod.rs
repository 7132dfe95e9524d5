//! The guard language: CEL without macros, checked before it is used.
//!
//! The `cel` crate parses and evaluates; it has no type checker and no limits, and aborts the
//! process on long or deep sources. So nothing outside this folder calls it, and nothing here
//! parses on a thread that the process could not do without: see [`crate::Compiler`].

mod check;
mod eval;
mod functions;
mod reads;
mod scan;
mod tree;
mod types;
mod variables;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;

use cel::parser::Expression as Ast;

use self::check::Checker;
use self::eval::{ENV, Outcome, Pattern};
use self::reads::Read;
use self::types::Type;

pub(crate) use self::reads::Scope;
pub(crate) use self::scan::SOURCE_BYTES_MAX;
pub use self::types::{FieldType, Fields};

/// The longest value shown in a refusal, in characters.
const READING_CHARS_MAX: usize = 100;

/// A source that was parsed, checked and found to give a bool.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    source: String,
    tree: Ast,
    reads: Vec<Read>,
    patterns: Vec<Pattern>,
}

/// A value that an expression read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// The path, such as `contact.source.channel`.
    pub path: String,
    /// The value as text, at most 100 characters; `not set` where there is none.
    pub value: String,
}

/// Parses and checks `source`, which must give a bool. Every problem found is one message.
///
/// Runs on the compiler's own thread only: parsing recurses.
pub(crate) fn compile(source: &str, fields: &Fields) -> Result<Expression, Vec<String>> {
    compile_as(source, fields, Some(&Type::Bool)).map(|(_, expression)| expression)
}

fn compile_as(
    source: &str,
    fields: &Fields,
    wanted: Option<&Type>,
) -> Result<(Type, Expression), Vec<String>> {
    let ast = scan::parse(&ENV, source).map_err(|problem| vec![problem])?;
    let mut checker = Checker::new(fields);
    let outcome = checker
        .measure(&ast)
        .and_then(|()| checker.check(&ast))
        .and_then(|(found, tree)| match wanted {
            // What has no type of its own has no value either: it stems from an empty list or map.
            Some(wanted) if found == Type::Any || !wanted.fits(&found) => {
                checker.refuse(format!("gives {found}; a condition must give {wanted}"))
            }
            _ => Ok((found, tree)),
        });
    let Ok((found, tree)) = outcome else {
        return Err(checker.problems);
    };
    let expression = Expression {
        source: source.to_owned(),
        tree,
        reads: checker.reads,
        patterns: checker.patterns.into_iter().map(Pattern).collect(),
    };
    Ok((found, expression))
}

impl Expression {
    /// As it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is true in `scope`; an error says why it cannot be told.
    pub(crate) fn holds(&self, scope: &Scope) -> Result<bool, String> {
        match eval::evaluate(&self.tree, &self.reads, &self.patterns, scope)? {
            Outcome::Bool(answer) => Ok(answer),
            Outcome::Other(_) => Err("gives no bool".to_owned()),
        }
    }

    /// The values it reads, in the order in which it names them.
    pub(crate) fn readings(&self, scope: &Scope) -> Vec<Reading> {
        self.reads
            .iter()
            .map(|read| Reading {
                path: read.path.clone(),
                value: read.value(scope).map_or_else(
                    || "not set".to_owned(),
                    |fact| fact.to_string().chars().take(READING_CHARS_MAX).collect(),
                ),
            })
            .collect()
    }
}
