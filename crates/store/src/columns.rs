//! Rows of one table, column by column: a statement that has one text, and so one plan, however many
//! rows there are.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};

/// Rows for PostgreSQL. All columns have as many values; a column that is left out has its default.
///
/// ```
/// # use diesel::pg::Pg;
/// # use diesel::prelude::*;
/// # use diesel::query_builder::AstPass;
/// fn notes<'b>(rows: &'b store::Columns<'_>, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
///     rows.walk_insert(out)
/// }
///
/// let rows = store::Columns::of("notes")
///     .text("id", ["a", "b"])
///     .big_int("count", [1, 2]);
/// ```
pub struct Columns<'a> {
    table: &'static str,
    columns: Vec<(&'static str, Values<'a>)>,
}

/// The statement of [`Columns::update`], for [`Steady`](crate::Steady).
pub struct Update<'a> {
    columns: Columns<'a>,
    keys: &'static [&'static str],
}

enum Values<'a> {
    Text(Vec<&'a str>),
    BigInt(Vec<i64>),
    BigIntOrNone(Vec<Option<i64>>),
    Bool(Vec<bool>),
    Binary(Vec<&'a [u8]>),
}

impl<'a> Columns<'a> {
    /// Rows of a table, without any column yet.
    pub fn of(table: &'static str) -> Self {
        Self {
            table,
            columns: Vec::new(),
        }
    }

    /// Adds a column of texts.
    #[must_use]
    pub fn text(self, name: &'static str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(name, Values::Text(values.into_iter().collect()))
    }

    /// Adds a column of numbers.
    #[must_use]
    pub fn big_int(self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.with(name, Values::BigInt(values.into_iter().collect()))
    }

    /// Adds a column of numbers of which some may be absent.
    #[must_use]
    pub fn big_int_or_none(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = Option<i64>>,
    ) -> Self {
        self.with(name, Values::BigIntOrNone(values.into_iter().collect()))
    }

    /// Adds a column of truths.
    #[must_use]
    pub fn bool(self, name: &'static str, values: impl IntoIterator<Item = bool>) -> Self {
        self.with(name, Values::Bool(values.into_iter().collect()))
    }

    /// Adds a column of bytes.
    #[must_use]
    pub fn binary(self, name: &'static str, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.with(name, Values::Binary(values.into_iter().collect()))
    }

    fn with(mut self, name: &'static str, values: Values<'a>) -> Self {
        self.columns.push((name, values));
        self
    }

    /// Writes the insert of these rows.
    pub fn walk_insert<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_sql(self.table);
        out.push_sql(" (");
        self.walk_names(&mut out);
        out.push_sql(") SELECT * FROM ");
        self.walk_rows(out)
    }

    /// The statement that changes, of rows that are there, all columns but these `keys`, by which each is
    /// found.
    pub fn update(self, keys: &'static [&'static str]) -> Update<'a> {
        Update {
            columns: self,
            keys,
        }
    }

    /// Writes the names of the columns, with commas between them.
    pub(crate) fn walk_names(&self, out: &mut AstPass<'_, '_, Pg>) {
        for (place, (name, _)) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_sql(name);
        }
    }

    /// Writes what the rows are selected from.
    pub(crate) fn walk_rows<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        for (place, (_, values)) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            match values {
                Values::Text(values) => out.push_bind_param::<Array<Text>, _>(values)?,
                Values::BigInt(values) => out.push_bind_param::<Array<BigInt>, _>(values)?,
                Values::BigIntOrNone(values) => {
                    out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?;
                }
                Values::Bool(values) => out.push_bind_param::<Array<Bool>, _>(values)?,
                Values::Binary(values) => out.push_bind_param::<Array<Binary>, _>(values)?,
            }
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Columns { table, columns } = &self.columns;
        let (keys, rest): (Vec<_>, Vec<_>) = columns
            .iter()
            .map(|(name, _)| *name)
            .partition(|name| self.keys.contains(name));
        out.push_sql("UPDATE ");
        out.push_sql(table);
        out.push_sql(" SET ");
        for (place, name) in rest.into_iter().enumerate() {
            out.push_sql(if place > 0 { ", " } else { "" });
            out.push_sql(name);
            out.push_sql(" = new.");
            out.push_sql(name);
        }
        out.push_sql(" FROM ");
        self.columns.walk_rows(out.reborrow())?;
        out.push_sql(" AS new (");
        self.columns.walk_names(&mut out);
        out.push_sql(")");
        for (place, name) in keys.into_iter().enumerate() {
            out.push_sql(if place > 0 { " AND " } else { " WHERE " });
            out.push_sql(table);
            out.push_sql(".");
            out.push_sql(name);
            out.push_sql(" = new.");
            out.push_sql(name);
        }
        Ok(())
    }
}
