//! Searching in text, with the same answer on both engines.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, Text};

/// Whether `column` contains `needle`, the case of ASCII letters put aside.
///
/// `%`, `_` and `\` stand for themselves. Letters beyond ASCII must match exactly, on both engines:
/// where more is wanted, store a folded copy and search that. No index helps; filter by the
/// workspace first.
///
/// ```
/// # use diesel::prelude::*;
/// # diesel::table! { notes (id) { id -> Text, body -> Text } }
/// fn find(conn: &mut store::Conn, word: &str) -> QueryResult<Vec<String>> {
///     notes::table
///         .filter(store::contains_ci(notes::body, word))
///         .select(notes::id)
///         .load(conn)
/// }
/// ```
pub fn contains_ci<C>(column: C, needle: &str) -> LikeCi<C> {
    LikeCi {
        column,
        pattern: format!("%{}%", escape(needle)),
    }
}

/// Whether `column` starts with `needle`, the case of ASCII letters put aside; like [`contains_ci`].
///
/// For names and other exact prefixes use a range over the index instead: [`prefix_end`].
pub fn starts_with_ci<C>(column: C, needle: &str) -> LikeCi<C> {
    LikeCi {
        column,
        pattern: format!("{}%", escape(needle)),
    }
}

/// The least text above all that start with `prefix`, in byte order, so that `column >= prefix AND
/// column < end` finds them by an index. None when there is no upper bound.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// See [`contains_ci`].
#[derive(Clone, Debug, QueryId, ValidGrouping)]
#[diesel(not_sized)]
pub struct LikeCi<C> {
    column: C,
    pattern: String,
}

impl<C: Expression> Expression for LikeCi<C> {
    type SqlType = Bool;
}

impl<C, Source> SelectableExpression<Source> for LikeCi<C> where C: SelectableExpression<Source> {}

impl<C, Source> AppearsOnTable<Source> for LikeCi<C> where C: AppearsOnTable<Source> {}

// Both engines run the same text. Under the collation "C" PostgreSQL folds ASCII only, which is all
// that SQLite ever folds.
impl<C, DB> QueryFragment<DB> for LikeCi<C>
where
    DB: Backend + HasSqlType<Text>,
    C: QueryFragment<DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("(lower(");
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" COLLATE \"C\") LIKE ");
        out.push_bind_param::<Text, String>(&self.pattern)?;
        out.push_sql(" ESCAPE '\\')");
        Ok(())
    }
}

fn escape(needle: &str) -> String {
    let mut escaped = String::with_capacity(needle.len());
    for character in needle.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_are_escaped() {
        assert_eq!(escape("50%_A\\"), "50\\%\\_a\\\\");
    }

    proptest! {
        #[test]
        fn the_end_of_a_prefix_is_above_all_that_start_with_it(prefix in ".{1,8}", rest in ".{0,8}") {
            if let Some(end) = prefix_end(&prefix) {
                let longer = prefix.clone() + &rest;
                prop_assert!(end > longer);
                prop_assert!(!end.starts_with(&prefix));
            }
        }
    }
}
