//! The pipeline's database begins another epoch while somebody still tells of the one before.

use std::future::ready;

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use proto::contacts::v1::{Contact, Role};

use crate::positions::{at, record, record_in, shown};
use crate::support::{eventually, on_each_engine};

/// On PostgreSQL alone: whoever writes keeps all others from writing on SQLite.
#[tokio::test]
async fn a_late_teller_of_an_earlier_epoch_leaves_nothing_behind() {
    on_each_engine(|mut suite| async move {
        if !suite.engine.is_postgres() {
            return;
        }
        for id in ["ada", "eve"] {
            suite.create(id, Contact::default()).await;
        }
        record(&suite, vec![at("ada", "client", Role::Client, 7)], 9).await;
        // It is heard, and then waits for eve while the next epoch is told.
        let mut other = PgConnection::establish(suite.url()).expect("a connection");
        let mut say = |query: &str| {
            let said = diesel::sql_query(query).execute(&mut other);
            said.expect("PostgreSQL does it")
        };
        say("SET clientele.workspace = '*'");
        say("BEGIN");
        say("SELECT 1 FROM contacts WHERE contact = 'eve' FOR UPDATE");
        let late = record(&suite, vec![at("eve", "client", Role::Client, 1)], 10);
        let next = record_in(&suite, vec![at("ada", "lead", Role::Lead, 1)], 6, 1);
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock'";
        let mut late = std::pin::pin!(late);
        let mut next = std::pin::pin!(next);
        tokio::select! {
            _ = &mut late => panic!("it did not wait"),
            () = eventually("one waits", || ready((say(waiting) == 1).then_some(()))) => {}
        }
        let begun = tokio::select! {
            _ = &mut late => panic!("it did not wait"),
            _ = &mut next => true,
            () = eventually("both wait", || ready((say(waiting) == 2).then_some(()))) => false,
        };
        say("COMMIT");
        late.await;
        if !begun {
            next.await;
        }
        assert_eq!(shown(&suite, "ada").await, ("lead".to_owned(), 1));
        assert_eq!(shown(&suite, "eve").await, (String::new(), 0));
    })
    .await;
}
