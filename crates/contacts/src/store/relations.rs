//! How a filter's numbers and moments stand to a column.

/// The condition that a column stands in a [`Relation`](store::filter::Relation) to a value.
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
