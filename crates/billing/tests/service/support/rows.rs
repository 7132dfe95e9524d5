//! The database, looked at and changed behind the service.

use store::diesel::{self, RunQueryDsl as _};
use store::testing::soon;
use store::{Conn, Store};

/// The rows that a query finds.
pub async fn rows<T>(store: &Store, sql: &'static str) -> Vec<T>
where
    T: Send + 'static,
    diesel::query_builder::SqlQuery: for<'a> diesel::query_dsl::LoadQuery<'a, Conn, T>,
{
    store
        .across()
        .read("test.rows", soon(), move |conn| {
            Ok::<_, store::Error>(diesel::sql_query(sql).load(conn)?)
        })
        .await
        .expect("the rows")
}

/// Runs a statement behind the service.
pub async fn execute(store: &Store, sql: impl Into<String>) -> Result<usize, store::Error> {
    let sql = sql.into();
    store
        .across()
        .write("test.execute", soon(), move |conn| {
            Ok::<_, store::Error>(diesel::sql_query(sql.as_str()).execute(conn)?)
        })
        .await
}
