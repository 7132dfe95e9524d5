//! Other lives of either database: nothing that was granted in an earlier one counts.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use billing::domain::grants::{Attachment, Fence, Grant, Invoice};
use billing::domain::invoices::Party;
use billing::store::{gate, grants};
use proto::errors::v1::Reason;
use store::diesel::{self, RunQueryDsl as _};
use store::testing::soon;
use store::{Conn, Store};
use types::{ContactName, Micros};

use super::support::{Suite, assert_refused, contact, eventually, on_every_engine};

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_pipeline_voids_every_grant_and_is_attached_to() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        suite.pipeline.restore();
        suite.pipeline.put(&ada, "lead");
        // The stream tells of the new epoch; from then on nothing of the old one counts.
        eventually("the old grant is void", async || {
            billing.draft(&ada).await.is_err()
        })
        .await;
        let refused = billing.issue(&draft.name).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        suite.pipeline.put(&ada, "client");
        billing.issue(&draft.name).await.expect("a client");
        suite.pipeline.demote(&ada, "lead").await;
        billing.draft(&ada).await.expect_err("a lead");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_billing_uses_no_grant_before_it_has_attached_anew() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        billing.stop().await;
        // `clientele epoch bump`, after a restore from a backup.
        suite.store().bump_epoch(soon()).await.expect("a new epoch");

        let billing = suite.start_without_follower().await;
        suite.pipeline.set_down(true);
        let refused = billing
            .issue(&draft.name)
            .await
            .expect_err("the old grant is void");
        assert_refused(&refused, Reason::UpstreamUnavailable);
        suite.pipeline.set_down(false);
        billing
            .issue(&draft.name)
            .await
            .expect("attached, and asked again");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_begins_while_billing_runs_is_noticed() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        let asked = suite.pipeline.acquired();
        suite.store().bump_epoch(soon()).await.expect("a new epoch");
        eventually("the old grant is void", async || {
            billing.draft(&ada).await.expect("a client, now as then");
            suite.pipeline.acquired() > asked
        })
        .await;
        // The follower has attached anew as well: what is taken away is given back.
        suite.pipeline.demote(&ada, "lead").await;
        let refused = billing.draft(&ada).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_epoch_is_opened_again_with_growing_pauses() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        let opened = async |more: usize| {
            let before = suite.pipeline.streams();
            eventually("the stream is opened", async || {
                suite.pipeline.streams() >= before + more
            })
            .await;
        };
        suite.pipeline.set_stream_behind(true);
        opened(1).await;
        // At least 25, 50, 100, 200 and 400 ms; as much as 50 ms each time if it never grew.
        let began = Instant::now();
        opened(5).await;
        assert!(began.elapsed() > Duration::from_millis(500));
        suite.pipeline.set_stream_behind(false);
        suite.pipeline.demote(&ada, "lead").await;
        billing.stop().await;
    })
    .await;
}

const FIRST: Attachment = Attachment {
    holder_epoch: 1,
    pipeline_epoch: 1,
};

fn grant(id: &str, attached: Attachment, policy_activation: i64) -> Grant {
    Grant {
        contact: ContactName::new("default", id),
        entitlements: ["invoice".to_owned()].into(),
        revision: 1,
        policy_activation,
        policy_revision: "workspaces/default/policies/main/revisions/1".into(),
        epoch: attached.pipeline_epoch,
        stage: "client".into(),
        role: None,
        subject: Party::default(),
    }
}

fn attach(conn: &mut Conn, offered: Attachment) -> Attachment {
    gate::attachment_raise(conn, offered, Micros(0)).expect("attached")
}

fn give(conn: &mut Conn, id: &str, attached: Attachment, activation: i64) -> bool {
    let offered = grant(id, attached, activation);
    let installed = grants::grant_install(conn, &offered, attached.holder_epoch, Micros(0));
    installed.expect("an answer") == grants::Installed::Yes
}

fn usable(conn: &mut Conn, id: &str, attached: Attachment) -> bool {
    let contact = ContactName::new("default", id);
    let held = grants::grant_hold::<Invoice>(conn, &contact, attached.holder_epoch, Micros(0));
    held.expect("an answer").is_some()
}

/// Runs a check of the gate's tables in a transaction.
async fn on_the_tables<T: Send + 'static>(
    store: &Store,
    check: impl Fn(&mut Conn) -> T + Send + Sync + 'static,
) -> T {
    let done = store.across().write("test.gate", soon(), move |conn| {
        gate::holder_ensure(conn, "billing-of-the-test")?;
        Ok::<_, store::Error>(check(conn))
    });
    done.await.expect("no conflict")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_epoch_of_either_side_voids_every_grant_and_writes_none() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let store = suite.store();
        for raised in [
            Attachment {
                holder_epoch: 2,
                ..FIRST
            },
            Attachment {
                holder_epoch: 2,
                pipeline_epoch: 2,
            },
        ] {
            on_the_tables(&store, move |conn| {
                let before = gate::attachment(conn).expect("attached");
                let before = if before == Attachment::default() {
                    attach(conn, FIRST)
                } else {
                    before
                };
                for id in ["a", "b", "c"] {
                    assert!(give(conn, id, before, 1) && usable(conn, id, before));
                }
                let rows = "SELECT count(*) AS n FROM grants WHERE state = 'ACTIVE'";
                let count = |conn: &mut Conn| -> i64 {
                    let found: Count = diesel::sql_query(rows).get_result(conn).expect("a count");
                    found.n
                };
                assert_eq!(count(conn), 3);
                assert_eq!(attach(conn, raised), raised);
                assert_eq!(count(conn), 3, "the rows are as they were");
                for id in ["a", "b", "c"] {
                    assert!(!usable(conn, id, raised) && !usable(conn, id, before));
                }
                assert_eq!(attach(conn, before), raised, "epochs never fall");
                // Pipeline's old answer, and one that was asked for in the old life, come too late.
                let late = raised.pipeline_epoch != before.pipeline_epoch;
                assert!(
                    !late
                        || !give(
                            conn,
                            "a",
                            Attachment {
                                pipeline_epoch: 1,
                                ..raised
                            },
                            1
                        )
                );
                let asked_before = Attachment {
                    pipeline_epoch: raised.pipeline_epoch,
                    ..before
                };
                let unheard = before.holder_epoch == raised.holder_epoch;
                assert!(unheard || !give(conn, "a", asked_before, 1));
                assert!(give(conn, "a", raised, 1) && usable(conn, "a", raised));
                assert!(!usable(conn, "b", raised), "the others stay void");
            })
            .await;
        }
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_counts_in_the_epoch_of_pipeline_that_raised_it() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        on_the_tables(&suite.store(), |conn| {
            let fence = |conn: &mut Conn, level, attached| {
                let fence = Fence {
                    workspace: "default".into(),
                    min_policy_activation: level,
                };
                gate::fence_raise(conn, &fence, attached).expect("an answer")
            };
            let first = attach(conn, FIRST);
            assert!(give(conn, "a", first, 6) && fence(conn, 7, first));
            assert!(!usable(conn, "a", first) && !give(conn, "a", first, 6));
            // Billing's own new life knows no less of pipeline's fences.
            let second = Attachment {
                holder_epoch: 2,
                ..FIRST
            };
            attach(conn, second);
            assert!(!give(conn, "a", second, 6) && give(conn, "a", second, 7));
            // In pipeline's, activations are counted anew.
            let third = Attachment {
                holder_epoch: 2,
                pipeline_epoch: 2,
            };
            attach(conn, third);
            assert!(!fence(conn, 9, second), "an order of the old life");
            assert!(give(conn, "a", third, 1) && usable(conn, "a", third));
            assert!(fence(conn, 2, third), "lower than the old one's");
            assert!(!usable(conn, "a", third) && !give(conn, "a", third, 1));
            assert!(fence(conn, 1, third), "told again, late");
            assert!(!give(conn, "a", third, 1) && give(conn, "a", third, 2));
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_begins_when_nobody_uses_a_grant_of_the_old_one() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let (user, other) = (suite.store(), suite.store());
        on_the_tables(&user, |conn| {
            attach(conn, FIRST);
            assert!(give(conn, "a", FIRST, 1));
        })
        .await;
        let (using, in_use) = mpsc::channel();
        let (raised, is_raised) = mpsc::channel();
        let is_raised = Mutex::new(is_raised);
        let use_it = tokio::spawn(async move {
            on_the_tables(&user, move |conn| {
                let contact = ContactName::new("default", "a");
                let held = grants::grant_hold::<Invoice>(conn, &contact, 1, Micros(0));
                assert!(held.expect("an answer").is_some());
                using.send(()).expect("somebody waits");
                let while_used = is_raised.lock().expect("one user");
                while_used.recv_timeout(Duration::from_millis(300)).is_ok()
            })
            .await
        });
        tokio::task::spawn_blocking(move || in_use.recv().expect("it is used"))
            .await
            .expect("no panic");
        on_the_tables(&other, move |conn| {
            let second = Attachment {
                holder_epoch: 2,
                ..FIRST
            };
            assert_eq!(attach(conn, second), second);
            assert!(!usable(conn, "a", second));
        })
        .await;
        // Who used it has ended before, so nobody may be there any more to be told.
        let _ = raised.send(());
        assert!(
            !use_it.await.expect("no panic"),
            "raised under a held grant"
        );
    })
    .await;
}
