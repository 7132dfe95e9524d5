//! The conditions of a list's filter.

use ::store::filter::{Comparison, Pattern, Test};
use ::store::prefix_end;
use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable, Text};
use types::ContactName;

use super::super::super::relations::related;
use super::super::row::{email_term, label_field};
use super::super::{contact_external_ids, contact_positions, contact_terms, contacts};
use super::Condition;
use crate::domain::facts::digits;

diesel::define_sql_function! {
    /// The value, or the other where there is none.
    fn coalesce(value: Nullable<Text>, other: Text) -> Text;
}
diesel::define_sql_function! {
    /// How many characters the text has.
    fn length(text: Text) -> Integer;
}
diesel::define_sql_function! {
    /// The text from the character with this number, counted from 1.
    fn substr(text: Text, from: Integer) -> Text;
}
diesel::define_sql_function! {
    /// The text with one part replaced wherever it stands.
    fn replace(text: Text, part: Text, other: Text) -> Text;
}

/// A column of any case against a pattern, and what is made of that condition. `LIKE` would put case
/// aside on SQLite and not on PostgreSQL; these functions never do.
macro_rules! exactly {
    ($column:expr, $pattern:expr, |$found:ident| $made:expr) => {{
        let pattern: Pattern = $pattern;
        match pattern {
            Pattern::Exact(text) => {
                let $found = $column.eq(text);
                Box::new($made) as Condition
            }
            Pattern::Prefix(text) => match prefix_end(&text) {
                Some(end) => {
                    let $found = $column.ge(text).and($column.lt(end));
                    Box::new($made)
                }
                None => {
                    let $found = $column.ge(text);
                    Box::new($made)
                }
            },
            Pattern::Suffix(text) => {
                let count = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
                let from = length($column) - (count - 1);
                let $found = length($column)
                    .ge(count)
                    .and(substr($column, from).eq(text));
                Box::new($made)
            }
            Pattern::Contains(text) if text.is_empty() => {
                let $found = $column.ge("");
                Box::new($made)
            }
            Pattern::Contains(text) => {
                let $found = replace($column, text, "").ne($column);
                Box::new($made)
            }
        }
    }};
}

/// A column in lower case against a pattern in lower case.
macro_rules! matches_pattern {
    ($column:expr, $pattern:expr) => {{
        let pattern: Pattern = $pattern;
        match pattern.like() {
            None => Box::new($column.eq(pattern.text().to_owned())) as Condition,
            Some(like) => Box::new($column.like(like).escape('\\')),
        }
    }};
}

/// The condition of one comparison. The fields and kinds are those of `app::contact_filter`.
pub(super) fn condition(workspace: &str, comparison: &Comparison) -> Condition {
    let key = comparison.key.as_deref().unwrap_or_default();
    match (comparison.field, &comparison.test) {
        ("kind", Test::Word(word)) => Box::new(contacts::kind.eq(*word)),
        ("state", Test::Word(word)) => Box::new(contacts::state.eq(*word)),
        ("source.channel", Test::Word(word)) => Box::new(contacts::source_channel.eq(*word)),
        ("role", Test::Word("UNSPECIFIED")) => {
            Box::new(coalesce(contact_positions::role.nullable(), "").eq(""))
        }
        ("role", Test::Word(word)) => {
            Box::new(coalesce(contact_positions::role.nullable(), "").eq(*word))
        }
        ("relationship_kinds", Test::Word(word)) => {
            Box::new(contacts::relationship_kinds.like(format!("%|{word}|%")))
        }
        ("relationship_kinds", _) => Box::new(contacts::relationship_kinds.ne("")),
        ("ready_to_buy", Test::Bool(value)) => Box::new(contacts::ready_to_buy.eq(*value)),
        ("create_time", Test::Time(relation, at)) => {
            related!(contacts::create_time, relation, at.0)
        }
        ("update_time", Test::Time(relation, at)) => {
            related!(contacts::update_time, relation, at.0)
        }
        ("display_name", Test::Text(text)) => {
            matches_pattern!(contacts::display_key, text.folded())
        }
        ("given_name", Test::Text(text)) => matches_pattern!(contacts::given_key, text.folded()),
        ("family_name", Test::Text(text)) => matches_pattern!(contacts::family_key, text.folded()),
        ("company", Test::Text(text)) => match company_id(workspace, text.text()) {
            nobody if nobody.is_empty() => Box::new(contacts::company.eq(nobody)),
            // The index has those with a company only. That it may be used must be said in its words:
            // SQLite chooses before it knows the values.
            company => Box::new(
                contacts::company
                    .eq(company)
                    .and(dsl::sql::<Bool>("contacts.company <> ''")),
            ),
        },
        ("owner", Test::Text(text)) => exactly!(contacts::owner, text.clone(), |found| found),
        ("source.campaign", Test::Text(text)) => {
            exactly!(contacts::source_campaign, text.clone(), |found| found)
        }
        ("stage", Test::Text(text)) => {
            exactly!(
                coalesce(contact_positions::stage.nullable(), ""),
                text.clone(),
                |found| found
            )
        }
        ("email", Test::Text(text)) => {
            has_term(workspace, "email".to_owned(), Some(text.map(email_term)))
        }
        ("phone", Test::Text(text)) => {
            has_term(workspace, "phone".to_owned(), Some(text.map(digits)))
        }
        ("labels", Test::Text(text)) => has_term(workspace, label_field(key), Some(text.clone())),
        ("labels", _) => has_term(workspace, label_field(key), None),
        ("external_ids", test) => has_external_id(workspace, key, test),
        // Whatever the declaration does not allow never comes here.
        _ => Box::new(contacts::contact.eq("")),
    }
}

/// The id in a company's name. A name of another workspace, or none at all, is nobody's; the empty
/// text stands for contacts without a company.
fn company_id(workspace: &str, text: &str) -> String {
    match text.parse::<ContactName>() {
        Ok(name) if name.workspace == workspace => name.contact,
        _ if text.is_empty() => String::new(),
        _ => "-".to_owned(),
    }
}

/// Whether the contact has a term that matches, or any of the field.
fn has_term(workspace: &str, field: String, pattern: Option<Pattern>) -> Condition {
    let found = contact_terms::table
        .filter(contact_terms::workspace.eq(workspace.to_owned()))
        .filter(contact_terms::field.eq(field))
        .select(contact_terms::contact);
    match pattern {
        None => Box::new(contacts::contact.eq_any(found)),
        Some(pattern) => exactly!(contact_terms::term, pattern, |matching| {
            contacts::contact.eq_any(found.filter(matching))
        }),
    }
}

/// Whether the contact has an external id of this system that matches, or any.
fn has_external_id(workspace: &str, system: &str, test: &Test) -> Condition {
    let found = contact_external_ids::table
        .filter(contact_external_ids::workspace.eq(workspace.to_owned()))
        .filter(contact_external_ids::system.eq(system.to_owned()))
        .select(contact_external_ids::contact);
    match test {
        Test::Text(pattern) => exactly!(
            contact_external_ids::external_id,
            pattern.clone(),
            |matching| contacts::contact.eq_any(found.filter(matching))
        ),
        _ => Box::new(contacts::contact.eq_any(found)),
    }
}
