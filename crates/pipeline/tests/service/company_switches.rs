//! Companies whose primary contact, or whose own place, changed while companies did not come first.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{
    AcknowledgeFenceRequest, GetPositionRequest, policy_definition::Mode, position,
};
use store::testing::engines;

use crate::activating::{ADA, BOB, WORKSPACE, activate, create};
use crate::companies::{
    COMPANY, associate, companies_first, company, delete, follows, one_way, stands,
};
use crate::holding::orders;
use crate::suite::{HOLDER, Suite, eventually, on_each_engine};

/// Puts contacts first again; answers the revision for that.
async fn contacts_first(suite: &Suite) -> String {
    let definition = one_way(suite, Mode::Contact).await;
    let new = create(&suite.one, "contacts", definition).await;
    let revision = new.expect("created").revision;
    put_in_force(suite, &revision).await;
    revision
}

async fn put_in_force(suite: &Suite, revision: &str) {
    let activated = activate(&suite.one, revision, &[], false).await;
    activated.expect("activated");
}

/// The same where a holder has to raise its fence first.
async fn put_in_force_with_fence(suite: &Suite, epoch: i64, revision: &str) {
    let holder = async {
        let fence = orders(&suite.one).await.fences.remove(0);
        let request = AcknowledgeFenceRequest {
            workspace: WORKSPACE.to_owned(),
            holder: HOLDER.to_owned(),
            min_policy_activation: fence.min_policy_activation,
            epoch,
        };
        let raised = suite.one.entitlements().acknowledge_fence(request).await;
        assert!(raised.expect("an answer").into_inner().completed);
    };
    tokio::join!(put_in_force(suite, revision), holder);
}

/// Has pipeline look at a contact as the directory has it by now.
pub async fn look_at(suite: &Suite, name: &str) {
    let request = GetPositionRequest {
        name: format!("{name}/position"),
        at_least_as_fresh_as: vec![suite.directory.token()],
        ..GetPositionRequest::default()
    };
    let looked = suite.one.positions().get_position(request).await;
    looked.expect("a position");
}

/// A company of Ada and Bob, who follows Ada, and the revision that puts companies first.
async fn of_ada_and_bob(suite: &Suite) -> String {
    let revision = companies_first(suite).await;
    company(suite);
    associate(suite, ADA);
    stands(suite, COMPANY, "lead").await;
    associate(suite, BOB);
    suite.one.position(BOB).await.expect("a position");
    follows(suite, ADA).await;
    revision
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_left_the_company_in_another_mode_is_primary_no_more() {
    on_each_engine(async |suite| {
        let companies = of_ada_and_bob(suite).await;
        contacts_first(suite).await;
        suite.directory.change(ADA, |ada| ada.company.clear());
        look_at(suite, ADA).await;
        put_in_force(suite, &companies).await;
        follows(suite, BOB).await;
        suite.one.convert(BOB, "client").await.expect("a client");
        stands(suite, COMPANY, "client").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_went_to_another_company_in_another_mode_is_primary_no_more() {
    on_each_engine(async |suite| {
        let companies = of_ada_and_bob(suite).await;
        contacts_first(suite).await;
        suite.directory.change(ADA, |ada| {
            "workspaces/default/contacts/other-ltd".clone_into(&mut ada.company);
        });
        look_at(suite, ADA).await;
        suite.directory.change(BOB, |bob| bob.company.clear());
        look_at(suite, BOB).await;
        put_in_force(suite, &companies).await;
        // Nobody belongs to it any more.
        stands(suite, COMPANY, "").await;
        suite.one.convert(ADA, "client").await.expect("a client");
        let alone = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(alone.stage, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deleted_in_another_mode_is_primary_no_more() {
    on_each_engine(async |suite| {
        let companies = of_ada_and_bob(suite).await;
        contacts_first(suite).await;
        delete(suite, ADA).await;
        put_in_force(suite, &companies).await;
        follows(suite, BOB).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_contact_without_a_position_can_be_deleted() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        company(suite);
        suite.directory.put(proto::contacts::v1::Contact {
            name: ADA.to_owned(),
            kind: contact::Kind::Person as i32,
            company: COMPANY.to_owned(),
            // The policy asks for an e-mail address there.
            requested_stage: "client".to_owned(),
            ..Default::default()
        });
        follows(suite, ADA).await;
        associate(suite, BOB);
        delete(suite, ADA).await;
        follows(suite, BOB).await;
        stands(suite, COMPANY, "lead").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_contact_that_leaves_while_companies_are_put_first_is_followed_no_more() {
    on_each_engine(async |suite| {
        let companies = of_ada_and_bob(suite).await;
        let contacts = contacts_first(suite).await;
        let (mut leaves, mut stays) = (ADA, BOB);
        for _ in 0..8 {
            let leaving = async {
                suite.directory.change(leaves, |one| one.company.clear());
            };
            tokio::join!(put_in_force(suite, &companies), leaving);
            follows(suite, stays).await;
            put_in_force(suite, &contacts).await;
            associate(suite, leaves);
            (leaves, stays) = (stays, leaves);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_with_a_grant_loses_nothing_when_companies_come_first_again() {
    on_each_engine(async |suite| {
        let epoch = suite.one.attach().await;
        let companies = of_ada_and_bob(suite).await;
        contacts_first(suite).await;
        let moved = suite.one.convert(COMPANY, "client").await;
        moved.expect("a client");
        suite.one.acquire(COMPANY).await.expect("a grant");
        put_in_force_with_fence(suite, epoch, &companies).await;
        let refused = "UPDATE effects SET revision = revision \
            WHERE contact = 'example-ltd' AND kind = 'WORK_ITEM' AND id LIKE 'primary-refused/%/ada'";
        eventually("the work item", || async {
            (suite.sql(refused) == Ok(1)).then_some(())
        })
        .await;
        // It follows nobody until somebody stands no lower.
        suite.one.convert(ADA, "prospect").await.expect("converted");
        let kept = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(
            (kept.state(), kept.stage.as_str()),
            (position::State::Open, "client")
        );
        suite.one.convert(ADA, "client").await.expect("a client");
        follows(suite, ADA).await;
    })
    .await;
}

/// Nothing runs in the background, so nobody has looked at the company when its primary contact moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_went_its_own_way_is_not_moved_before_it_is_looked_at() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        let epoch = suite.one.attach().await;
        let companies = companies_first(&suite).await;
        company(&suite);
        associate(&suite, ADA);
        for name in [ADA, COMPANY] {
            let opened = suite.one.position(name).await.expect("a position");
            assert_eq!(opened.stage, "lead");
        }
        contacts_first(&suite).await;
        let moved = suite.one.convert(COMPANY, "client").await;
        moved.expect("a client");
        suite.one.acquire(COMPANY).await.expect("a grant");
        put_in_force_with_fence(&suite, epoch, &companies).await;
        suite.one.convert(ADA, "prospect").await.expect("converted");
        let kept = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(
            (kept.state(), kept.stage.as_str()),
            (position::State::Open, "client")
        );
        suite.one.kill().await;
    }
}
