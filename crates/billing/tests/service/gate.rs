//! The gate: a document is accepted under a held grant and under nothing else.

use billing::store::gate::{self, Scope};
use proto::errors::v1::Reason;
use store::testing::soon;
use tonic::Code;
use tonic_types::StatusExt as _;
use types::{Clock, Micros};

use super::support::{Suite, assert_refused, contact, on_every_engine, refusal};

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
async fn what_was_announced_by_one_who_died_keeps_nobody_waiting_for_long() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let clock = Clock::fixed(Micros(1_780_000_000_000_000));
        let billing = suite.start_at(clock.clone()).await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let draft = billing.draft(&ada).await.expect("a client");
        let store = suite.store();
        let announce = async |scope: &Scope| {
            let (scope, now) = (scope.clone(), clock.now());
            let announced: Result<(), store::Error> = store
                .across()
                .write("test.announce", soon(), move |conn| {
                    gate::intent_announce(conn, &scope, now)
                })
                .await;
            announced.expect("announced");
        };
        for scope in [
            Scope::All,
            Scope::Workspace("default".into()),
            Scope::Contact(ada.parse().expect("a contact")),
        ] {
            announce(&scope).await;
            // Whoever takes it away is waited for; nobody does, and after some seconds that shows.
            let waits = billing.draft(&ada).await.expect_err("announced");
            assert_refused(&waits, Reason::ConcurrentUpdate);
            clock.advance(gate::ANNOUNCED_MAX / 2);
            let waits = billing.issue(&draft.name).await.expect_err("announced");
            assert_refused(&waits, Reason::ConcurrentUpdate);
            clock.advance(gate::ANNOUNCED_MAX / 2);
            billing.draft(&ada).await.expect("nobody takes it away");
            announce(&scope).await;
            let waits = billing.draft(&ada).await.expect_err("announced anew");
            assert_refused(&waits, Reason::ConcurrentUpdate);
            clock.advance(gate::ANNOUNCED_MAX);
        }
        billing.issue(&draft.name).await.expect("all are too old");
        billing.stop().await;
    })
    .await;
}
