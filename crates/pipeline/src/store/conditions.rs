//! How the comparisons of a filter become conditions on columns.

use diesel::sql_types::Text;

diesel::define_sql_function! {
    /// The text in lower case; letters beyond ASCII stay as they are on both engines.
    fn lower(text: Text) -> Text;
}

/// The condition that a column's number or moment stands in a `Relation` to a value.
macro_rules! related {
    ($column:expr, $relation:expr, $value:expr) => {{
        use ::store::filter::Relation;
        match $relation {
            Relation::Eq => Box::new($column.eq($value)) as Condition,
            Relation::Lt => Box::new($column.lt($value)),
            Relation::Le => Box::new($column.le($value)),
            Relation::Gt => Box::new($column.gt($value)),
            Relation::Ge => Box::new($column.ge($value)),
        }
    }};
}
pub(super) use related;

/// The condition that a column's text is as a `Pattern` says: `=` tells capitals apart, patterns with
/// a star do not.
macro_rules! like {
    ($column:expr, $pattern:expr) => {{
        let pattern: &::store::filter::Pattern = $pattern;
        match pattern.folded().like() {
            None => Box::new($column.eq(pattern.text().to_owned())) as Condition,
            Some(like) => Box::new(super::conditions::lower($column).like(like).escape('\\')),
        }
    }};
}
pub(super) use like;
