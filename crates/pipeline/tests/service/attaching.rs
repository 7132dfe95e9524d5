//! Holders and epochs: who has not confirmed the present one keeps everybody from losing anything.

use proto::contacts::v1::contact;
use proto::pipeline::v1::{Position, policy_activation, position};
use store::testing::{engines, soon};

use crate::activating::{ADA, BOB, activate, active, create, populated};
use crate::holding::{
    OTHER, acknowledge, forget, free_switch, hasty, held_client, known, new_epoch, orders,
};
use crate::suite::{HOLDER, HOLDER_EPOCH, Suite, eventually, metadata, on_each_engine, reason};

/// The position once nothing waits any more.
async fn opened(suite: &Suite, contact: &str) -> Position {
    eventually("the move", || async {
        let position = suite.one.position(contact).await.expect("a position");
        (position.state() == position::State::Open).then_some(position)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_nothing_is_taken_away_until_holders_attach_again() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        suite.directory.person(BOB, "");
        suite.one.position(BOB).await.expect("a position");
        suite.one.convert(BOB, "client").await.expect("a client");
        let before = suite.one.attach().await;
        let epoch = new_epoch(suite).await;
        // Nobody holds a grant on Bob as far as is remembered, which may be too little.
        let waiting = hasty(&suite.one, BOB, "lead", "").await.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        let refused = suite
            .one
            .acquire(ADA)
            .await
            .expect_err("it has to attach first");
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        // Neither asking for the epoch nor having confirmed the one before is attaching.
        for confirmed in [0, before] {
            let answer = suite.one.attach_as(HOLDER, HOLDER_EPOCH, confirmed).await;
            assert_eq!(answer.expect("the epoch"), epoch);
            let refused = suite.one.acquire(ADA).await.expect_err("not attached");
            assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        }
        let still = suite.one.position(BOB).await.expect("a position");
        assert_eq!(still.state(), position::State::Revoking);
        assert_eq!(suite.one.attach().await, epoch);
        let moved = opened(suite, BOB).await;
        assert_eq!(moved.stage, "lead");
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert_eq!(grant.epoch, epoch);
    })
    .await;
}

/// Whoever attaches is answered, however much waits to be swept up: here nobody sweeps at first.
#[tokio::test(flavor = "multi_thread")]
async fn attaching_is_answered_before_what_waited_goes_on() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        free_switch(&suite).await;
        suite.directory.person(BOB, "");
        suite.one.position(BOB).await.expect("a position");
        suite.one.convert(BOB, "client").await.expect("a client");
        let epoch = suite.store().bump_epoch(soon()).await;
        let epoch = epoch.expect("a new epoch").number;
        let waiting = hasty(&suite.one, BOB, "lead", "").await.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        assert_eq!(suite.one.attach().await, epoch);
        let still = suite.one.position(BOB).await.expect("a position");
        assert_eq!(still.state(), position::State::Revoking);
        let sweeping = suite.another().await;
        assert_eq!(opened(&suite, BOB).await.stage, "lead");
        sweeping.stop().await;
        suite.one.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_on_nobody_is_refused_and_one_without_a_position_is_empty() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let absent = suite.one.acquire(ADA).await.expect_err("nobody");
        assert_eq!(reason(&absent), "RESOURCE_NOT_FOUND");
        suite.one.activate_preset("default", "relationship").await;
        // Under `relationship` a lead needs a source of interest.
        suite.directory.person(ADA, "");
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert!(grant.entitlements.is_empty() && grant.stage.is_empty());
        assert_eq!((grant.role, grant.policy_activation), (0, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_nobody_knows_has_to_attach_first() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "client");
        let refused = suite.one.acquire(ADA).await.expect_err("unknown");
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        assert_eq!(metadata(&refused, "resource"), HOLDER);
        let learnt = suite.one.attach_as(HOLDER, HOLDER_EPOCH, 0).await;
        let epoch = learnt.expect("the epoch");
        let refused = suite.one.acquire(ADA).await.expect_err("it only asked");
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        assert!(known(suite).await.holders.is_empty());
        assert_eq!(suite.one.attach().await, epoch);
        suite.one.acquire(ADA).await.expect("a grant");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_life_of_a_holder_does_not_take_the_place_of_a_later_one() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "client");
        let epoch = suite.one.attach().await;
        let later = suite.one.attach_as(HOLDER, HOLDER_EPOCH + 1, epoch).await;
        later.expect("attached");
        let refused = suite.one.acquire(ADA).await.expect_err("another epoch");
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        let refused = suite.one.attach_as(HOLDER, HOLDER_EPOCH, epoch).await;
        let refused = refused.expect_err("its epoch is over");
        assert_eq!(reason(&refused), "CONCURRENT_UPDATE");
        let grant = suite.one.acquire_as(HOLDER, HOLDER_EPOCH + 1, ADA).await;
        grant.expect("the later one stays attached");
    })
    .await;
}

/// The same restore loses whom grants were given to: that somebody holds any is all that is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_forgot_every_grant_still_waits_for_its_holders() {
    on_each_engine(async |suite| {
        let definition = populated(suite).await;
        suite.one.attach().await;
        suite.one.convert(BOB, "lead").await.expect("a lead");
        suite.one.acquire(ADA).await.expect("a grant");
        for table in ["grant_holders", "workspace_holders"] {
            suite.sql(&format!("DELETE FROM {table}")).expect("lost");
        }
        new_epoch(suite).await;
        let waiting = hasty(&suite.one, ADA, "contact", "").await;
        let waiting = waiting.expect("accepted");
        assert_eq!(waiting.state(), position::State::Revoking);
        // Nobody stands where something is lost, as far as is remembered.
        let mut less = definition;
        for stage in &mut less.stages {
            stage.entitlements.retain(|key| key != "project");
        }
        let less = create(&suite.one, "less", less).await.expect("created");
        let activation = activate(&suite.one, &less.revision, &[], false).await;
        let activation = activation.expect("accepted");
        assert_eq!(activation.state(), policy_activation::State::Activating);
        suite.one.attach().await;
        opened(suite, ADA).await;
        eventually("the activation", || async {
            (active(&suite.one).await.0.revision == less.revision).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_waited_for_an_epoch_complete_by_themselves_and_one_that_cannot_is_left() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        let names: Vec<String> = (0..60)
            .map(|number| format!("workspaces/default/contacts/c{number}"))
            .collect();
        for name in &names {
            suite.directory.person(name, "client");
            suite.one.position(name).await.expect("a position");
        }
        new_epoch(suite).await;
        for name in &names {
            suite
                .directory
                .change(name, |one| one.state = contact::State::Deleting as i32);
        }
        eventually("all removals", || async {
            (known(suite).await.pending_count == 60).then_some(())
        })
        .await;
        suite
            .sql("UPDATE pending_transitions SET moves = 'nonsense' WHERE contact = 'c3'")
            .expect("broken");
        suite.one.attach().await;
        eventually("all but the broken one", || async {
            (known(suite).await.pending_count == 1).then_some(())
        })
        .await;
        eventually("the confirmations", || async {
            let deleted = |name: &String| {
                suite
                    .directory
                    .get(name)
                    .is_some_and(|one| one.state() == contact::State::Deleted)
            };
            (names.iter().filter(|name| deleted(name)).count() == 59).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_is_waited_for_no_more_and_comes_back_only_in_another_epoch() {
    on_each_engine(async |suite| {
        free_switch(suite).await;
        held_client(suite, ADA).await;
        let before = suite.one.attach().await;
        let other = suite.one.attach_as(OTHER, 1, before).await;
        other.expect("attached");
        suite.directory.person(BOB, "");
        for contact in [ADA, BOB] {
            let grant = suite.one.acquire_as(OTHER, 1, contact).await;
            grant.expect("a grant");
        }
        let epoch = new_epoch(suite).await;
        suite.one.attach().await;
        hasty(&suite.one, ADA, "lead", "").await.expect("accepted");
        let recall = orders(&suite.one).await.recalls.remove(0);
        assert!(!acknowledge(&suite.one, &recall, epoch).await);

        let listed = known(suite).await;
        assert_eq!((listed.epoch, listed.pending_count), (epoch, 1));
        let counts: Vec<_> = listed
            .holders
            .iter()
            .map(|one| (one.id.as_str(), one.grant_count, one.recall_count))
            .collect();
        assert_eq!(counts, [(HOLDER, 1, 0), (OTHER, 2, 1)]);
        assert_eq!(listed.holders[0].attachment.attached_epoch, epoch);
        assert_eq!(listed.holders[1].attachment.attached_epoch, before);

        assert!(!forget(suite, "nobody").await);
        assert!(forget(suite, OTHER).await);
        assert!(!forget(suite, OTHER).await);
        assert_eq!(opened(suite, ADA).await.stage, "lead");
        let gone = known(suite).await.holders.remove(1);
        assert!(gone.forget_time.is_some() && gone.grant_count == 0);

        // Nobody can say any more whether it wrote a document for them.
        let count = "UPDATE positions SET documents_exist = documents_exist WHERE documents_exist";
        assert_eq!(suite.sql(count).expect("counted"), 2);

        // Whatever it may still hold is of the epoch in which it was forgotten.
        let refused = suite.one.attach_as(OTHER, 1, epoch).await;
        assert_eq!(
            reason(&refused.expect_err("forgotten")),
            "CONCURRENT_UPDATE"
        );
        let attached = suite.one.attach_as(OTHER, 2, epoch).await;
        assert_eq!(attached.expect("another life"), epoch);
        suite.one.acquire_as(OTHER, 2, ADA).await.expect("a grant");
    })
    .await;
}
