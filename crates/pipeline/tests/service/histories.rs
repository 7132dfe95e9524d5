//! Histories: verified, sealed, and out of reach of whoever has the database.

use std::time::{Duration, Instant};

use proto::pipeline::v1::{
    BatchGetPositionsRequest, ListPositionsRequest, VerifyHistoryRequest, VerifyHistoryResponse,
};
use tonic::{Code, Request, Status};

use crate::suite::{Suite, eventually, metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const ALL: &str = "workspaces/default/contacts/-";

async fn verify(suite: &Suite, parent: &str) -> Result<VerifyHistoryResponse, Status> {
    let request = VerifyHistoryRequest {
        parent: parent.to_owned(),
    };
    Ok(suite
        .one
        .positions()
        .verify_history(request)
        .await?
        .into_inner())
}

async fn moved(suite: &Suite) {
    suite.directory.person(ADA, "");
    suite.one.position(ADA).await.expect("a position");
    suite.one.convert(ADA, "prospect").await.expect("converted");
    suite.one.convert(ADA, "client").await.expect("converted");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_sql_that_disagrees_with_the_history_fails() {
    on_each_engine(async |suite| {
        moved(suite).await;
        for text in [
            "UPDATE positions SET stage = 'lead', role = 'LEAD'",
            "UPDATE positions SET revision = 2",
            "UPDATE positions SET contact = 'eve'",
            "UPDATE positions SET enter_time = 0",
            "UPDATE positions SET activation = 0",
            "UPDATE positions SET policy = 'other'",
            "UPDATE positions SET policy_revision = 7",
            "UPDATE positions SET state = 'NONE'",
            "DELETE FROM positions",
            "UPDATE transitions SET to_stage = 'lead' WHERE revision = 3",
            "UPDATE transitions SET note = 'x'",
            "DELETE FROM transitions WHERE revision = 3",
            "UPDATE policy_revisions SET definition = '{}'",
        ] {
            assert!(suite.sql(text).is_err(), "{text}");
        }
        let transition = "workspace, CONTACT, REVISION, from_stage, to_stage, from_role, to_role, \
             skip, cause, actor, reason, note, note_digest, trigger_id, activity, decision, policy, \
             policy_revision, activation, effective_time, record_time, previous_hash, hash";
        let transition = |contact: &str, revision: &str| {
            transition.replace("CONTACT", contact).replace("REVISION", revision)
        };
        let position = "INSERT INTO positions SELECT workspace, 'eve', kind, stage, role, state, \
             revision, change, activation, policy, policy_revision, enter_time, head_hash, \
             sealed_revision, grant_revision, facts_time, refusal, documents_exist \
             FROM positions WHERE contact = 'ada'";
        let refused = |text: &str, why: &str| {
            let refused = suite.sql(text).expect_err(text).to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        };
        let skipping = transition("contact", "5");
        refused(
            &format!("INSERT INTO transitions SELECT {skipping} FROM transitions WHERE revision = 3"),
            "a transition goes on where the one before ended",
        );
        // No row begins with a stage, not even with that of its newest transition.
        let begins = "a position begins without a stage";
        refused(position, begins);
        let of_eve = transition("'eve'", "revision");
        for revision in 1..=3 {
            refused(position, begins);
            let copied = format!(
                "INSERT INTO transitions SELECT {of_eve} FROM transitions \
                 WHERE contact = 'ada' AND revision = {revision}"
            );
            assert_eq!(suite.sql(&copied), Ok(1));
        }
        refused(position, begins);
        verify(suite, "workspaces/default/contacts/eve")
            .await
            .expect_err("the hashes are of another contact");
        let verified = verify(suite, ADA).await.expect("it holds");
        assert_eq!((verified.contacts, verified.transitions), (1, 3));
        assert_eq!(suite.one.position(ADA).await.expect("a position").stage, "client");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_sealed_and_a_broken_seal_is_found() {
    on_each_engine(async |suite| {
        moved(suite).await;
        let sealed = eventually("a seal", || async {
            let verified = verify(suite, ALL).await.expect("it holds");
            (verified.checkpoints > 0).then_some(verified)
        })
        .await;
        assert_eq!((sealed.contacts, sealed.transitions), (1, 3));
        eventually("the contact's seal", || async {
            let verified = verify(suite, ADA).await.expect("it holds");
            (verified.checkpoints > 0).then_some(())
        })
        .await;
        assert!(suite.sql("UPDATE checkpoints SET heads = 0").is_err());
        let disarm = if suite.engine.is_postgres() {
            "ALTER TABLE checkpoint_heads DISABLE TRIGGER USER"
        } else {
            "DROP TRIGGER checkpoint_heads_update"
        };
        suite.sql(disarm).expect("disarmed");
        suite
            .sql("UPDATE checkpoint_heads SET revision = 1")
            .expect("altered");
        let broken = verify(suite, ALL).await.expect_err("the seal is broken");
        assert_eq!(
            (broken.code(), reason(&broken).as_str()),
            (Code::DataLoss, "HISTORY_BROKEN")
        );
    })
    .await;
}

/// Takes away what keeps rows from being altered.
fn disarm(suite: &Suite) {
    let disarm: &[&str] = if suite.engine.is_postgres() {
        &[
            "ALTER TABLE transitions DISABLE TRIGGER USER",
            "ALTER TABLE positions DISABLE TRIGGER USER",
        ]
    } else {
        &[
            "DROP TRIGGER transitions_update",
            "DROP TRIGGER positions_update_follows_history",
        ]
    };
    for text in disarm {
        suite.sql(text).expect("disarmed");
    }
}

/// Positions in the words of a policy that was never in force are refused, long before the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_policy_can_show_is_refused_at_once() {
    on_each_engine(async |suite| {
        moved(suite).await;
        disarm(suite);
        let parent = "workspaces/default".to_owned();
        for stray in [0, 2] {
            let alter = format!("UPDATE positions SET activation = {stray}");
            suite.sql(&alter).expect("altered");
            let mut positions = suite.one.positions();
            let list = |filter: &str| {
                let mut request = Request::new(ListPositionsRequest {
                    parent: parent.clone(),
                    filter: filter.to_owned(),
                    ..ListPositionsRequest::default()
                });
                request.set_timeout(Duration::from_secs(20));
                request
            };
            let begun = Instant::now();
            for filter in ["", "enter_time > \"2020-01-01T00:00:00Z\""] {
                let refused = positions.list_positions(list(filter)).await;
                assert_eq!(refused.expect_err("damaged").code(), Code::Internal);
            }
            let refused = suite.one.position(ADA).await.expect_err("damaged");
            assert_eq!(refused.code(), Code::Internal);
            let batch = BatchGetPositionsRequest {
                parent: parent.clone(),
                names: vec![format!("{ADA}/position")],
                ..BatchGetPositionsRequest::default()
            };
            let refused = positions.batch_get_positions(batch).await;
            assert_eq!(refused.expect_err("damaged").code(), Code::Internal);
            assert!(begun.elapsed() < Duration::from_secs(10), "at once");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_flipped_byte_is_found_and_the_row_named() {
    on_each_engine(async |suite| {
        moved(suite).await;
        verify(suite, ALL).await.expect("it holds");
        disarm(suite);
        for (alter, mend, revision) in [
            (
                "UPDATE transitions SET reason = 'x' WHERE revision = 2",
                "UPDATE transitions SET reason = '' WHERE revision = 2",
                "2",
            ),
            (
                "UPDATE transitions SET note = 'x' WHERE revision = 3",
                "UPDATE transitions SET note = '' WHERE revision = 3",
                "3",
            ),
            (
                "UPDATE transitions SET decision = decision || 'x' WHERE revision = 2",
                "UPDATE transitions SET decision = replace(decision, 'x', '') WHERE revision = 2",
                "2",
            ),
            (
                "UPDATE transitions SET activation = 2 WHERE revision = 3",
                "UPDATE transitions SET activation = 1 WHERE revision = 3",
                "3",
            ),
            (
                "UPDATE positions SET stage = 'lead', role = 'LEAD'",
                "UPDATE positions SET stage = 'client', role = 'CLIENT'",
                "3",
            ),
            (
                "UPDATE positions SET enter_time = enter_time + 1",
                "UPDATE positions SET enter_time = enter_time - 1",
                "3",
            ),
            (
                "UPDATE positions SET activation = 0",
                "UPDATE positions SET activation = 1",
                "3",
            ),
            (
                "UPDATE positions SET policy_revision = 2",
                "UPDATE positions SET policy_revision = 1",
                "3",
            ),
        ] {
            suite.sql(alter).expect("altered");
            for parent in [ADA, ALL] {
                let broken = verify(suite, parent).await.expect_err(alter);
                assert_eq!(
                    (broken.code(), reason(&broken).as_str()),
                    (Code::DataLoss, "HISTORY_BROKEN")
                );
                assert_eq!(metadata(&broken, "contact"), ADA);
                assert_eq!(metadata(&broken, "revision"), revision, "{alter}");
            }
            suite.sql(mend).expect("mended");
            verify(suite, ALL).await.expect("it holds again");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_cannot_be_replaced() {
    on_each_engine(async |suite| {
        moved(suite).await;
        eventually("a seal", || async {
            let verified = verify(suite, ALL).await.expect("it holds");
            (verified.checkpoints > 0).then_some(())
        })
        .await;
        if suite.engine.is_postgres() {
            return;
        }
        for table in [
            "transitions",
            "checkpoints",
            "checkpoint_heads",
            "policy_revisions",
        ] {
            let text = format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}");
            let refused = suite.sql(&text).expect_err(table).to_string();
            assert!(refused.contains("never changes"), "{table}: {refused}");
        }
    })
    .await;
}

/// So many rows that they come in pages, of which the first ends within a history.
#[tokio::test(flavor = "multi_thread")]
async fn long_histories_are_verified_page_by_page() {
    const MOVES: i64 = 603;
    on_each_engine(async |suite| {
        suite.one.activate_preset("default", "free-switch").await;
        let bob = "workspaces/default/contacts/bob";
        for contact in [ADA, bob] {
            suite.directory.person(contact, "");
            suite.one.position(contact).await.expect("a position");
        }
        for number in 1..MOVES {
            let stage = if number % 2 == 1 { "lead" } else { "contact" };
            suite.one.convert(ADA, stage).await.expect("converted");
        }
        suite.one.convert(bob, "lead").await.expect("converted");
        let verified = verify(suite, ADA).await.expect("it holds");
        assert_eq!((verified.contacts, verified.transitions), (1, MOVES));
        let verified = verify(suite, ALL).await.expect("they hold");
        assert_eq!((verified.contacts, verified.transitions), (2, MOVES + 2));
        disarm(suite);
        for revision in [500, 501, MOVES] {
            let alter = |set: &str| {
                format!(
                    "UPDATE transitions SET {set} WHERE contact = 'ada' AND revision = {revision}"
                )
            };
            suite.sql(&alter("reason = 'x'")).expect("altered");
            for parent in [ADA, ALL] {
                let broken = verify(suite, parent).await.expect_err("altered");
                assert_eq!(metadata(&broken, "contact"), ADA);
                assert_eq!(metadata(&broken, "revision"), revision.to_string());
            }
            suite.sql(&alter("reason = ''")).expect("mended");
        }
        verify(suite, ALL).await.expect("they hold again");
    })
    .await;
}
