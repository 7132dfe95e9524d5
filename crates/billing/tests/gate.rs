//! The gate: a document is accepted under a held grant and under nothing else, whatever becomes of
//! pipeline, of messages and of either database.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use proto::errors::v1::Reason;
use support::{Running, Suite, assert_refused, contact, eventually, on_every_engine, refusal};
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn without_the_entitlement_everything_is_refused_with_all_there_is_to_know() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "lead");
        billing.project("roof").await;
        let refused_draft = billing.draft(&ada).await.expect_err("a lead");
        let refused_assignment = billing
            .assign("workspaces/default/projects/roof", &ada)
            .await
            .expect_err("a lead");
        for (status, entitlement) in [
            (&refused_draft, "invoice"),
            (&refused_assignment, "project"),
        ] {
            let (code, reason, metadata) = refusal(status);
            assert_eq!(code, Code::FailedPrecondition);
            assert_eq!(reason, Some(Reason::EntitlementMissing));
            for (key, value) in [
                ("contact", ada.as_str()),
                ("stage", "lead"),
                ("role", "LEAD"),
                ("entitlement", entitlement),
                (
                    "policy_revision",
                    "workspaces/default/policies/main/revisions/1",
                ),
            ] {
                assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}");
            }
            let failure = status
                .get_details_precondition_failure()
                .expect("a PreconditionFailure");
            assert_eq!(failure.violations[0].r#type, "ENTITLEMENT");
            assert_eq!(failure.violations[0].subject, ada);
        }
        let nobody = billing.draft(&contact("nobody")).await.expect_err("nobody");
        assert_refused(&nobody, Reason::ResourceNotFound);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_becomes_a_client_can_be_invoiced_at_once() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "lead");
        billing.draft(&ada).await.expect_err("a lead");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        assert_eq!(
            draft.policy_revision,
            "workspaces/default/policies/main/revisions/1"
        );
        assert_eq!(draft.grant_revision, 2);
        let issued = billing.issue(&draft.name).await.expect("a client");
        assert!(issued.number.ends_with("-000001"), "{}", issued.number);
        let buyer = issued.buyer.expect("the buyer is frozen");
        assert_eq!(
            (buyer.name.as_str(), buyer.tax_id.as_str()),
            ("Example Ltd", "DE123")
        );
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_grant_needs_no_pipeline_and_no_grant_needs_one() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let (ada, ben) = (contact("ada"), contact("ben"));
        suite.pipeline.put(&ada, "client");
        suite.pipeline.put(&ben, "client");
        billing.project("roof").await;
        let draft = billing.draft(&ada).await.expect("a client");
        let asked = suite.pipeline.acquired();
        suite.pipeline.set_down(true);
        billing.issue(&draft.name).await.expect("the grant is held");
        billing.draft(&ada).await.expect("the grant is held");
        billing
            .assign("workspaces/default/projects/roof", &ada)
            .await
            .expect("the grant is held");
        assert_eq!(suite.pipeline.acquired(), asked, "nobody was asked");
        let refused = billing
            .draft(&ben)
            .await
            .expect_err("no grant and nobody to ask");
        assert_refused(&refused, Reason::UpstreamUnavailable);
        assert!(proto::status::retry_after(&refused).is_some());
        assert_eq!(refusal(&refused).2["upstream"], "pipeline");
        suite.pipeline.stop();
        billing.stop().await;

        // Nor does a process that starts while pipeline is gone.
        let billing = suite.start().await;
        billing.draft(&ada).await.expect("the grant is held");
        let refused = billing
            .draft(&ben)
            .await
            .expect_err("no grant and nobody to ask");
        assert_refused(&refused, Reason::UpstreamUnavailable);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_ends_it_and_says_whether_documents_exist() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let (ada, ben) = (contact("ada"), contact("ben"));
        for client in [&ada, &ben] {
            suite.pipeline.put(client, "client");
        }
        let draft = billing.draft(&ada).await.expect("a client");
        billing.draft(&ben).await.expect("a client");
        billing.issue(&draft.name).await.expect("a client");
        let second = billing.draft(&ada).await.expect("a client");
        for client in [&ada, &ben] {
            suite.pipeline.demote(client, "lead").await;
        }
        assert_eq!(suite.pipeline.documents_exist(&ada), Some(true));
        assert_eq!(suite.pipeline.documents_exist(&ben), Some(false));
        for refused in [
            billing.draft(&ada).await.expect_err("a lead"),
            billing.issue(&second.name).await.expect_err("a lead"),
        ] {
            assert_refused(&refused, Reason::EntitlementMissing);
        }
        // What was issued stays as it is.
        assert_eq!(
            billing.get(&draft.name).await.expect("it is there").state,
            2
        );
        suite.pipeline.put(&ada, "client");
        billing.issue(&second.name).await.expect("a client again");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demotion_while_billing_is_down_completes_when_it_is_back() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        billing.stop().await;
        assert!(suite.pipeline.demote_begin(&ada, "lead"));

        // Without the follower the grant is not given back: the demotion waits and the call passes.
        let billing = suite.start_without_follower().await;
        billing
            .draft(&ada)
            .await
            .expect("nothing was acknowledged yet");
        assert!(suite.pipeline.is_pending(&ada));
        billing.stop().await;

        let billing = suite.start().await;
        eventually("the demotion is complete", async || {
            !suite.pipeline.is_pending(&ada)
        })
        .await;
        let refused = billing.issue(&draft.name).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_demotion_waits_callers_are_told_so() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        suite.pipeline.ignore_acknowledgements(true);
        assert!(suite.pipeline.demote_begin(&ada, "lead"));
        eventually("the recall is acknowledged", async || {
            suite.pipeline.acknowledgements(&ada) > 0
        })
        .await;
        let refused = billing
            .draft(&ada)
            .await
            .expect_err("the grant is given back");
        assert_refused(&refused, Reason::TransitionPending);
        assert_eq!(refusal(&refused).2["to"], "lead");
        // The same order comes again and again, and is acknowledged again and again.
        eventually("it is acknowledged again", async || {
            suite.pipeline.acknowledgements(&ada) > 2
        })
        .await;
        suite.pipeline.cancel(&ada);
        suite.pipeline.ignore_acknowledgements(false);
        billing
            .draft(&ada)
            .await
            .expect("the demotion was cancelled");
        suite.pipeline.demote(&ada, "lead").await;
        let refused = billing.draft(&ada).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_arrives_after_its_recall_is_not_used() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        suite.pipeline.keep_for_later(&ada);
        suite.pipeline.demote(&ada, "lead").await;
        // The next call misses, is answered with the old grant, and must ask once more.
        let asked = suite.pipeline.acquired();
        let refused = billing.draft(&ada).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        assert_eq!(suite.pipeline.acquired(), asked + 2);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_fences_off_what_was_granted_before() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.expect("a client");
        suite.pipeline.keep_for_later(&ada);
        let asked = suite.pipeline.acquired();
        suite.pipeline.activate().await;
        let draft = billing.draft(&ada).await.expect("still a client");
        assert_eq!(
            draft.policy_revision,
            "workspaces/default/policies/main/revisions/2"
        );
        assert_eq!(
            suite.pipeline.acquired(),
            asked + 2,
            "the old grant was refused, a new one had"
        );
        billing.draft(&ada).await.expect("the new grant is held");
        assert_eq!(suite.pipeline.acquired(), asked + 2);
        billing.stop().await;
    })
    .await;
}

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
        suite
            .store()
            .bump_epoch(store::testing::soon())
            .await
            .expect("a new epoch");

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

/// How often the contact is demoted while invoices are drafted and issued.
const DEMOTIONS: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn no_document_is_accepted_after_an_acknowledged_demotion() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = Arc::new(suite.start().await);
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.project("roof").await;
        let over = Arc::new(AtomicBool::new(false));
        let accepted_count = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (over, accepted) = (over.clone(), accepted_count.clone());
                tokio::spawn(call_until(over, accepted, billing.clone(), ada.clone()))
            })
            .collect();
        let mut demoted = Vec::with_capacity(DEMOTIONS);
        for _ in 0..DEMOTIONS {
            suite.pipeline.demote(&ada, "lead").await;
            let since = Instant::now();
            // Calls that begin now and end before the contact is a client again must be refused.
            tokio::task::yield_now().await;
            demoted.push((since, Instant::now()));
            let before = accepted_count.load(Ordering::SeqCst);
            suite.pipeline.put(&ada, "client");
            // Until a document is accepted: then a grant is held, and others are on their way.
            while accepted_count.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
        }
        // A last demotion that stays, so that many calls lie wholly within it.
        suite.pipeline.demote(&ada, "lead").await;
        let since = Instant::now();
        let seen = suite.pipeline.acquired();
        eventually("calls come after it", async || {
            suite.pipeline.acquired() > seen + 50
        })
        .await;
        demoted.push((since, Instant::now()));
        over.store(true, Ordering::SeqCst);
        let (mut accepted, mut refused) = (0, 0);
        for caller in callers {
            for (begin, end, ok) in caller.await.expect("the caller ends") {
                let within = demoted
                    .iter()
                    .any(|(from, to)| *from <= begin && end <= *to);
                assert!(
                    !(ok && within),
                    "a document was accepted after the demotion"
                );
                accepted += usize::from(ok);
                refused += usize::from(!ok);
            }
        }
        println!("{DEMOTIONS} demotions, {accepted} calls accepted, {refused} refused");
        assert!(
            accepted >= DEMOTIONS && refused > 50,
            "both sides were seen"
        );
        billing.verify().await.expect("numbers without a gap");
    })
    .await;
}

/// Drafts, issues and assigns until told to stop; answers when each call began and ended, and
/// whether a document was accepted.
async fn call_until(
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    billing: Arc<Running>,
    ada: String,
) -> Vec<(Instant, Instant, bool)> {
    let mut calls = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let begin = Instant::now();
        let draft = billing.draft(&ada).await;
        calls.push((begin, Instant::now(), draft.is_ok()));
        accepted.fetch_add(usize::from(draft.is_ok()), Ordering::SeqCst);
        if let Ok(draft) = draft {
            let begin = Instant::now();
            let issued = billing.issue(&draft.name).await;
            calls.push((begin, Instant::now(), issued.is_ok()));
        }
        let begin = Instant::now();
        let assigned = billing
            .assign("workspaces/default/projects/roof", &ada)
            .await;
        calls.push((begin, Instant::now(), assigned.is_ok()));
        let _ = billing
            .unassign("workspaces/default/projects/roof", &ada)
            .await;
    }
    calls
}
