//! Where the terms of a filter stand in its text: the parser's tree does not keep that.
//!
//! Invariant: for a text that parses, the places come in the order of the tree's terms.

/// The bytes at which a term and its value begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) term: usize,
    pub(super) value: usize,
}

/// The places of the terms of `text`, which has been parsed.
pub(super) fn places(text: &str) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let mut value_is_due = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '=' | '<' | '>' | '!' | ':' => {
                value_is_due = true;
                at += 1;
            }
            '(' if value_is_due => {
                value_came(&mut found, at);
                value_is_due = false;
                at += 1;
            }
            '-' if !value_is_due => at += 1,
            c if c.is_whitespace() || matches!(c, '(' | ')' | ',') => at += c.len_utf8(),
            _ => {
                let end = word_end(text, at);
                if value_is_due {
                    value_came(&mut found, at);
                    value_is_due = false;
                } else if !is_keyword(&text[at..end], &text[end..]) {
                    found.push(Place {
                        term: at,
                        value: at,
                    });
                }
                at = end;
            }
        }
    }
    found
}

/// The byte of the parenthesis that opens one level more than `limit`.
pub(super) fn depth_exceeded(text: &str, limit: usize) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at = quoted_end(text, at, c);
                continue;
            }
            '(' if depth == limit => return at,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    0
}

fn value_came(found: &mut [Place], at: usize) {
    if let Some(last) = found.last_mut() {
        last.value = at;
    }
}

fn is_keyword(word: &str, after: &str) -> bool {
    matches!(word, "AND" | "OR" | "NOT") && after.starts_with(char::is_whitespace)
}

/// Where the chain of words, quoted texts and dots that begins at `at` ends.
fn word_end(text: &str, mut at: usize) -> usize {
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => at = quoted_end(text, at, c),
            '(' | ')' | ',' | '=' | '<' | '>' | '!' | ':' => break,
            c if c.is_whitespace() => break,
            c => at += c.len_utf8(),
        }
    }
    at
}

/// Where the quoted text that begins at `at` ends, its closing quote included.
fn quoted_end(text: &str, at: usize, quote: char) -> usize {
    let mut escaped = false;
    for (offset, c) in text[at + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1 + offset + 1,
            _ => {}
        }
    }
    text.len()
}
