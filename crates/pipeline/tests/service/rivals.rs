//! A primary contact is named while somebody looks at the one of before.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use proto::contacts::v1::contact::State;

use crate::activating::{ADA, BOB};
use crate::companies::{COMPANY, associate, companies_first, company, follows};
use crate::company_switches::look_at;
use crate::suite::{Suite, eventually, on_each_engine};

const CAROL: &str = "workspaces/default/contacts/carol";
const DORA: &str = "workspaces/default/contacts/dora";

/// Another process that has named a primary contact and is about to commit. There is none on SQLite,
/// where nobody else writes meanwhile.
struct Naming(Option<PgConnection>);

impl Naming {
    fn begin(suite: &Suite, primary: &str) -> Self {
        let primary = primary.rsplit('/').next().expect("an id");
        let named = format!(
            "UPDATE companies SET primary_contact = '{primary}' WHERE company = 'example-ltd'"
        );
        if !suite.engine.is_postgres() {
            assert_eq!(suite.sql(&named), Ok(1));
            return Self(None);
        }
        let mut conn = PgConnection::establish(&suite.url).expect("a connection");
        let begun = conn.batch_execute("SET clientele.workspace = '*'; BEGIN");
        begun.expect("a transaction");
        let changed = diesel::sql_query(named).execute(&mut conn);
        assert_eq!(changed, Ok(1));
        Self(Some(conn))
    }

    /// Commits once somebody waits for that.
    async fn commit_when_awaited(&mut self) {
        let Some(conn) = &mut self.0 else {
            return;
        };
        let waits = "EXISTS (SELECT FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        eventually("somebody who waits", || {
            let waits: bool = diesel::select(sql::<Bool>(waits))
                .get_result(conn)
                .expect("an answer");
            async move { waits.then_some(()) }
        })
        .await;
        conn.batch_execute("COMMIT").expect("committed");
    }
}

/// Nobody is left to be looked at, so that nobody but whoever is changed now will be.
async fn at_rest(suite: &Suite) {
    let touch_all = "UPDATE evaluations SET workspace = workspace";
    eventually("a list that is empty", || async {
        (suite.sql(touch_all) == Ok(0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_named_while_the_one_before_leaves_stays_named() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        company(suite);
        // Were nobody named, Carol would be the first once Ada has left.
        for name in [ADA, CAROL, BOB, DORA] {
            associate(suite, name);
            suite.one.position(name).await.expect("a position");
            follows(suite, ADA).await;
        }

        at_rest(suite).await;
        let mut naming = Naming::begin(suite, BOB);
        suite.directory.change(ADA, |ada| ada.company.clear());
        naming.commit_when_awaited().await;
        look_at(suite, ADA).await;
        look_at(suite, COMPANY).await;
        let position = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(position.primary_contact, BOB);

        at_rest(suite).await;
        let mut naming = Naming::begin(suite, DORA);
        suite
            .directory
            .change(BOB, |bob| bob.state = State::Deleting as i32);
        naming.commit_when_awaited().await;
        eventually("the confirmation", || async {
            let bob = suite.directory.get(BOB).expect("the contact");
            (bob.state() == State::Deleted).then_some(())
        })
        .await;
        look_at(suite, COMPANY).await;
        let position = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(position.primary_contact, DORA);
    })
    .await;
}
