//! A cheap look at a source before the parser sees it.
//!
//! The parser of the `cel` crate recurses once per term and per bracket, and its error text panics
//! on very long lines. What this lets through is short enough that neither can happen.

use cel::parser::Expression as Ast;
use cel::{Env, ParseErrors};

/// The longest source, in bytes.
pub(crate) const SOURCE_BYTES_MAX: usize = 4096;
/// The deepest nesting of brackets in the source, and of nodes in the tree.
pub(crate) const DEPTH_MAX: usize = 32;
/// The largest tree, in nodes.
pub(crate) const NODES_MAX: usize = 256;
/// Tokens of the source: a tree of 256 nodes needs fewer.
const TOKENS_MAX: usize = 1024;

/// Parses `source`, or says in our own words why not.
///
/// Invariant: the text of an upstream error never leaves this function, only its position.
pub(crate) fn parse(env: &Env, source: &str) -> Result<Ast, String> {
    scan(source)?;
    match env.compile(source) {
        Ok(program) => Ok(program.expression().clone()),
        Err(errors) => Err(where_it_failed(&errors)),
    }
}

fn where_it_failed(errors: &ParseErrors) -> String {
    match errors.errors.first().map(|error| error.pos) {
        Some((line, column)) if line > 0 && column > 0 => {
            format!("does not parse: look at line {line}, column {column}")
        }
        _ => "does not parse".to_owned(),
    }
}

/// Refuses sources that are too long, too deep or of too many tokens, and strings without an end.
fn scan(source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if source.len() > SOURCE_BYTES_MAX {
        return Err(format!(
            "has {} bytes; an expression has at most {SOURCE_BYTES_MAX}",
            source.len()
        ));
    }
    let mut rest = source;
    let (mut tokens, mut depth, mut deepest) = (0_usize, 0_usize, 0_usize);
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            _ if first.is_whitespace() => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            '/' if rest.starts_with("//") => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '"' | '\'' => string_end(rest, false)?,
            _ if first.is_ascii_alphanumeric() || first == '_' => {
                let word = rest.len()
                    - rest
                        .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
                        .len();
                let raw = rest[..word].contains(['r', 'R']) && word <= 2;
                if rest[word..].starts_with(['"', '\'']) {
                    word + string_end(&rest[word..], raw)?
                } else {
                    word
                }
            }
            '(' | '[' | '{' => {
                depth += 1;
                deepest = deepest.max(depth);
                1
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            other => other.len_utf8(),
        };
        tokens += 1;
        rest = &rest[taken..];
    }
    if deepest > DEPTH_MAX {
        return Err(format!("nests deeper than {DEPTH_MAX} levels"));
    }
    if tokens > TOKENS_MAX {
        return Err(format!("has more than {TOKENS_MAX} words and signs"));
    }
    Ok(())
}

/// How many bytes the string literal takes that `text` begins with.
fn string_end(text: &str, raw: bool) -> Result<usize, String> {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let close = if text.starts_with(&triple) {
        triple.as_str()
    } else {
        quote
    };
    let mut at = close.len();
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(close) {
            return Ok(at + close.len());
        }
        at += next.len_utf8();
        if next == '\\' && !raw {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        } else if next == '\n' && close.len() == 1 {
            break;
        }
    }
    Err("has a string without an end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_sources_pass() {
        for source in [
            "contact.has_email",
            r#"a == "it's" && b == 'say "x"' // why"#,
            r"r'\' == x",
            "'''two\nlines''' != ''",
            "'\\'' == y",
        ] {
            assert_eq!(scan(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_an_expression_is_refused_before_it_is_parsed() {
        for source in ["", "  ", "'", "\"abc", "'''abc''", "'a\n'", "'\\'"] {
            assert!(scan(source).is_err(), "{source:?}");
        }
        assert!(scan(&"(".repeat(33)).is_err());
        assert!(scan(&"+1".repeat(600)).is_err());
        assert!(scan(&"a".repeat(4097)).is_err());
    }
}
