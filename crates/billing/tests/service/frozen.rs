//! Issued invoices are frozen in the database and chained by hashes.

use proto::billing::v1;
use proto::errors::v1::Reason;
use store::testing::Engine;
use store::{Store, diesel};
use tonic::Code;

use super::numbers::draft;
use super::support::{PARENT, Suite, contact, execute, on_every_engine, refusal, rows};

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_to_change_or_remove_what_is_issued() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let issued = draft(&billing, &ada, "").await;
        let issued = billing.issue(&issued.name).await.expect("a client");
        draft(&billing, &ada, "").await;
        let store = suite.store();
        let mut attacks = vec![
            "UPDATE invoices SET note = 'changed' WHERE state = 'ISSUED'".to_owned(),
            "UPDATE invoices SET lines = '[]' WHERE state = 'ISSUED'".to_owned(),
            "UPDATE invoices SET state = 'DRAFT', year = NULL, sequence = NULL, number = '', \
             issue_time = NULL, hash = NULL WHERE state = 'ISSUED'"
                .to_owned(),
            "UPDATE invoices SET invoice = 'moved' WHERE state = 'ISSUED'".to_owned(),
            "DELETE FROM invoices WHERE state = 'ISSUED'".to_owned(),
            "DELETE FROM invoices".to_owned(),
        ];
        if engine.is_postgres() {
            attacks.push("TRUNCATE invoices".to_owned());
            attacks.push("TRUNCATE invoices CASCADE".to_owned());
        } else {
            attacks.push("INSERT OR REPLACE INTO invoices SELECT * FROM invoices".to_owned());
            attacks.push("REPLACE INTO invoices SELECT * FROM invoices".to_owned());
            attacks.extend(replacing(&store).await);
        }
        for attack in attacks {
            let refused = execute(&store, attack.clone()).await.expect_err(&attack);
            let said = refused.driver_text().unwrap_or_default().to_owned();
            assert!(said.contains("immutable"), "{attack}: {refused:?}");
        }
        assert_eq!(
            billing.get(&issued.name).await.expect("it is there"),
            issued
        );
        assert_eq!(billing.verify().await.expect("the chain holds"), 1);
        billing.stop().await;
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

/// Statements by which SQLite would remove the issued invoice to make room for another row, whose
/// id, number or place in the table it has.
async fn replacing(store: &Store) -> Vec<String> {
    let columns = "SELECT name FROM pragma_table_info('invoices')";
    let columns: Vec<String> = rows::<Column>(store, columns)
        .await
        .into_iter()
        .map(|column| column.name)
        .collect();
    let insert = |place: &str, changed: &[(&str, &str)], which: &str| {
        let value = |name: &String| {
            let change = changed.iter().find(|(column, _)| column == name);
            change.map_or_else(|| name.clone(), |(_, value)| (*value).to_owned())
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        format!(
            "INSERT OR REPLACE INTO invoices (rowid, {}) SELECT {place}, {} FROM invoices \
             WHERE state = '{which}'",
            columns.join(", "),
            values.join(", ")
        )
    };
    let issued = |column: &str| format!("(SELECT {column} FROM invoices WHERE state = 'ISSUED')");
    let update = |changes: &[String]| {
        let changes = changes.join(", ");
        format!("UPDATE OR REPLACE invoices SET {changes} WHERE state = 'DRAFT'")
    };
    let take = |column: &str| format!("{column} = {}", issued(column));
    let numbered = [
        "state",
        "series",
        "year",
        "sequence",
        "number",
        "issue_date",
        "issue_time",
        "buyer",
        "hash",
    ];
    vec![
        insert("NULL", &[("invoice", "'other'")], "ISSUED"),
        insert("NULL", &[("invoice", &issued("invoice"))], "DRAFT"),
        insert(&issued("rowid"), &[("invoice", "'other'")], "DRAFT"),
        update(&[take("invoice")]),
        update(&[take("rowid")]),
        update(&numbered.map(take)),
    ]
}

/// What an attacker does who owns the database: the statements, one after the other.
async fn tamper(engine: &Engine, store: &Store, sql: &str) {
    if engine.is_postgres() {
        execute(store, "ALTER TABLE invoices DISABLE TRIGGER USER")
            .await
            .expect("disabled");
    } else {
        for trigger in ["update", "delete", "replace", "replacing_update"] {
            let drop = format!("DROP TRIGGER IF EXISTS invoices_refuse_{trigger}");
            execute(store, drop).await.expect("dropped");
        }
    }
    for statement in sql.split(';') {
        execute(store, statement).await.expect("tampered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_behind_the_service_is_found() {
    let flipped = "UPDATE invoices SET note = note || ' ' WHERE sequence = 3";
    on_every_engine(async |engine| {
        for (sql, broken) in [
            (flipped, "INV-2026-000003"),
            (
                "UPDATE invoices SET lines = replace(lines, '10.5', '10.6') WHERE sequence = 2",
                "INV-2026-000002",
            ),
            (
                "UPDATE invoices SET gross_total = gross_total + 1 WHERE sequence = 5",
                "INV-2026-000005",
            ),
            (
                "UPDATE invoices SET buyer = replace(buyer, 'Ltd', 'Inc') WHERE sequence = 1",
                "INV-2026-000001",
            ),
            // Two rows can't have one number even for a moment: swapped over a third.
            (
                "UPDATE invoices SET sequence = 99 WHERE sequence = 4; \
                 UPDATE invoices SET sequence = 4 WHERE sequence = 5; \
                 UPDATE invoices SET sequence = 5 WHERE sequence = 99",
                "INV-2026-000004",
            ),
            ("DELETE FROM invoices WHERE sequence = 4", "INV-2026-000004"),
            ("DELETE FROM invoices WHERE sequence = 5", "INV-2026-000005"),
            (
                "UPDATE invoice_series SET last_sequence = 4",
                "INV-2026-000004",
            ),
            (
                "UPDATE invoice_series SET last_sequence = 4, \
                 last_hash = (SELECT hash FROM invoices WHERE sequence = 4)",
                "INV-2026-000005",
            ),
            ("DELETE FROM invoice_series", "INV-2026-000001"),
            (
                "UPDATE invoices SET hash = (SELECT hash FROM invoices WHERE sequence = 1) \
              WHERE sequence = 3",
                "INV-2026-000003",
            ),
        ] {
            let suite = Suite::new(&engine).await;
            let billing = suite.start_without_follower().await;
            let ada = contact("ada");
            suite.pipeline.put(&ada, "client");
            for _ in 0..5 {
                let draft = draft(&billing, &ada, "").await;
                billing.issue(&draft.name).await.expect("a client");
            }
            assert_eq!(billing.verify().await.expect("the chain holds"), 5);
            tamper(&engine, &suite.store(), sql).await;
            let found = billing.verify().await.expect_err(sql);
            let (code, reason, metadata) = refusal(&found);
            assert_eq!(
                (code, reason),
                (Code::DataLoss, Some(Reason::HistoryBroken)),
                "{sql}"
            );
            assert_eq!(metadata["number"], broken, "{sql}");
            let named = v1::VerifyInvoicesRequest {
                parent: PARENT.into(),
                series: "OTHER".into(),
                ..Default::default()
            };
            let other = billing.invoices.clone().verify_invoices(named).await;
            assert_eq!(other.expect("another series").into_inner().invoices, 0);
            billing.stop().await;
        }
    })
    .await;
}
