//! Issued invoices are frozen in the database and chained by hashes.

use proto::billing::v1;
use proto::errors::v1::Reason;
use store::Store;
use store::testing::Engine;
use tonic::Code;

use super::numbers::draft;
use super::support::{PARENT, Suite, contact, execute, on_every_engine, refusal};

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

/// What an attacker does who owns the database.
async fn tamper(engine: &Engine, store: &Store, sql: &str) {
    if engine.is_postgres() {
        execute(store, "ALTER TABLE invoices DISABLE TRIGGER USER")
            .await
            .expect("disabled");
    } else {
        for trigger in ["update", "delete", "replace"] {
            let drop = format!("DROP TRIGGER IF EXISTS invoices_refuse_{trigger}");
            execute(store, drop).await.expect("dropped");
        }
    }
    execute(store, sql).await.expect("tampered");
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
            (
                "UPDATE invoices SET sequence = 9 - sequence WHERE sequence IN (4, 5)",
                "INV-2026-000004",
            ),
            ("DELETE FROM invoices WHERE sequence = 4", "INV-2026-000004"),
            ("DELETE FROM invoices WHERE sequence = 5", "INV-2026-000005"),
            (
                "UPDATE invoice_series SET last_sequence = 4",
                "INV-2026-000004",
            ),
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
            // Two rows can't have one number even for a moment: swap them over a third.
            let sql = if sql.contains("9 - sequence") && engine.is_postgres() {
                "DO $$ BEGIN UPDATE invoices SET sequence = 99 WHERE sequence = 4; \
                 UPDATE invoices SET sequence = 4 WHERE sequence = 5; \
                 UPDATE invoices SET sequence = 5 WHERE sequence = 99; END $$"
            } else if sql.contains("9 - sequence") {
                "UPDATE invoices SET note = 'swapped' WHERE sequence = 4"
            } else {
                sql
            };
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
