//! Statistics of young tables, for the planner of PostgreSQL.
//!
//! PostgreSQL plans by what it knows of a table, and looks at a table by itself about a minute after
//! it began to fill. Until then it takes a workspace for a handful of rows and reads all of it for
//! each batch of contacts: a hundred times the work. So tables that have grown a lot since they were
//! looked at last are analyzed at once; large ones hardly ever grow so fast, and are left to the server.

use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use types::Deadline;

use crate::store::Inner;
use crate::{Conn, Error, Store};

/// How often there is a look for tables that have grown.
const PERIOD: Duration = Duration::from_secs(2);

/// How long one look, with what it finds to do, may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Tables with more than 500 changes since they were analyzed, and more than four times the rows that
/// the planner knows of.
const GROWN: &str = "SELECT quote_ident(relation.relname) AS name \
     FROM pg_stat_user_tables AS counted \
     JOIN pg_class AS relation ON relation.oid = counted.relid \
     WHERE counted.schemaname = current_schema() \
       AND counted.n_mod_since_analyze > 500 \
       AND counted.n_live_tup > 4 * GREATEST(relation.reltuples, 0)";

#[derive(QueryableByName)]
struct Grown {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Looks every [`PERIOD`] until the store is gone, on PostgreSQL.
pub(crate) fn keep(inner: &Arc<Inner>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(look_again_and_again(Arc::downgrade(inner)));
    }
}

async fn look_again_and_again(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let store = Store::over(inner);
        let looked = store
            .across()
            .read("statistics.keep", Deadline::after(LOOK_TIME), analyze_grown)
            .await;
        // Whoever needs the database says so louder.
        if let Err(error) = looked {
            tracing::debug!(?error, "young tables could not be analyzed");
        }
    }
}

fn analyze_grown(conn: &mut Conn) -> Result<(), Error> {
    let Conn::Postgres(conn) = conn else {
        return Ok(());
    };
    for Grown { name } in diesel::sql_query(GROWN).load::<Grown>(conn)? {
        // Only the owner may analyze a table; this procedure does it in the owner's name.
        diesel::sql_query(format!("CALL renew_statistics('{name}')")).execute(conn)?;
    }
    Ok(())
}
