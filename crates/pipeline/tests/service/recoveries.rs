//! What goes wrong around the service, and happens in between, keeps nobody where they are.

use std::time::Duration;

use proto::contacts::v1::{Contact, Identity, Interest, contact};
use proto::pipeline::v1::{
    AcknowledgeFenceRequest, AcknowledgeRecallRequest, ActivatePolicyRequest,
    BatchConvertContactsRequest, ConvertContactRequest, CreatePolicyRequest, GetPolicyRequest,
    WatchRecallsRequest, WatchRecallsResponse, create_policy_request::Source, policy_activation,
    policy_definition, position,
};
use store::testing::engines;

use crate::suite::{HOLDER, HOLDER_EPOCH, Instance, Suite, eventually, on_each_engine};

const ADA: &str = "workspaces/default/contacts/ada";
const BOB: &str = "workspaces/default/contacts/bob";
const COMPANY: &str = "workspaces/default/contacts/example-ltd";

async fn stage_of(instance: &Instance, contact: &str) -> String {
    instance.position(contact).await.expect("a position").stage
}

/// The first message of a holder's stream that tells of something.
async fn told(instance: &Instance) -> WatchRecallsResponse {
    let request = WatchRecallsRequest {
        holder: HOLDER.to_owned(),
        holder_epoch: HOLDER_EPOCH,
    };
    let stream = instance.entitlements().watch_recalls(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    loop {
        let told = stream.message().await.expect("a message").expect("no end");
        if !told.recalls.is_empty() || !told.fences.is_empty() {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_keeps_no_contact_as_it_is() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        assert_eq!(stage_of(&suite.one, ADA).await, "lead");
        suite.directory.set_back(1_000_000_000);
        suite
            .directory
            .change(ADA, |ada| ada.display_name = "Ada Other".to_owned());
        suite
            .one
            .convert(ADA, "prospect")
            .await
            .expect("the directory's answer is taken");
        suite.one.attach().await;
        suite.one.acquire(ADA).await.expect("a grant");
        suite.directory.set_back(1_000_000_000);
        suite.directory.change(ADA, |ada| {
            ada.state = contact::State::Deleted as i32;
        });
        let recall = told(&suite.one).await.recalls.remove(0);
        let request = AcknowledgeRecallRequest {
            contact: recall.contact,
            holder: HOLDER.to_owned(),
            grant_revision: recall.grant_revision,
            documents_exist: false,
            epoch: suite.one.attach().await,
        };
        suite
            .one
            .entitlements()
            .acknowledge_recall(request)
            .await
            .expect("taken");
        assert_eq!(stage_of(&suite.one, ADA).await, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_broke_off_is_read_again_in_full() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        for contact in [ADA, BOB] {
            suite.directory.person(contact, "");
            assert_eq!(stage_of(&suite.one, contact).await, "lead");
        }
        suite.directory.lose(BOB);
        suite.directory.break_snapshot();
        let other = suite.another().await;
        eventually("the end of whom the directory lost", || async {
            (stage_of(&suite.one, BOB).await.is_empty() && !suite.directory.breaks()).then_some(())
        })
        .await;
        assert_eq!(stage_of(&suite.one, ADA).await, "lead");
        other.stop().await;
        suite.one.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_for_the_moment_is_done_when_the_batch_is_repeated() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "");
        suite.directory.person(BOB, "");
        suite.directory.fail(BOB, true);
        let request = BatchConvertContactsRequest {
            parent: "workspaces/default".to_owned(),
            // Since the directory does not know one, each is asked for by itself.
            requests: ["ada", "bob", "nobody"]
                .map(|id| ConvertContactRequest {
                    contact: format!("workspaces/default/contacts/{id}"),
                    stage: "client".to_owned(),
                    ..ConvertContactRequest::default()
                })
                .to_vec(),
            request_id: "0190163d-8694-739b-aea5-966c26f8ad92".to_owned(),
            ..BatchConvertContactsRequest::default()
        };
        let convert = async || -> Vec<i32> {
            let done = suite
                .one
                .positions()
                .batch_convert_contacts(request.clone())
                .await;
            let done = done.expect("a result per contact").into_inner().conversions;
            done.iter()
                .map(|one| one.status.as_ref().map_or(0, |status| status.code))
                .collect()
        };
        let (ok, unavailable) = (tonic::Code::Ok as i32, tonic::Code::Unavailable as i32);
        let not_found = tonic::Code::NotFound as i32;
        assert_eq!(convert().await, [ok, unavailable, not_found]);
        suite.directory.fail(BOB, false);
        // What was done is not done again: ADA could not become a client twice.
        assert_eq!(convert().await, [ok, ok, not_found]);
        assert_eq!(convert().await, [ok, ok, not_found]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_does_not_hide_a_change_from_the_triggers() {
    for engine in engines() {
        let suite = Suite::with_background(&engine, false).await;
        suite
            .one
            .activate_preset("default", "verified-interest")
            .await;
        suite.directory.person(ADA, "");
        assert_eq!(stage_of(&suite.one, ADA).await, "lead");
        suite.directory.change(ADA, |ada| {
            ada.interest = Some(Interest {
                expressed_time: ada.create_time,
                ..Interest::default()
            });
            ada.identity = Some(Identity {
                verified_time: ada.create_time,
                ..Identity::default()
            });
        });
        suite.one.attach().await;
        suite.one.acquire(ADA).await.expect("a grant");
        // There is no place in the log yet: all it gets is a snapshot.
        let other = suite.another().await;
        eventually("the trigger", || async {
            (stage_of(&suite.one, ADA).await == "contact").then_some(())
        })
        .await;
        other.stop().await;
        suite.one.kill().await;
    }
}

/// Puts `free-switch` in force with companies first.
async fn companies_first(suite: &Suite) {
    let policies = || suite.one.policies();
    let mut request = CreatePolicyRequest {
        parent: "workspaces/default".to_owned(),
        policy_id: "free-switch".to_owned(),
        source: Some(Source::Preset("free-switch".to_owned())),
        ..CreatePolicyRequest::default()
    };
    let preset = policies()
        .create_policy(request.clone())
        .await
        .expect("a policy");
    let name = preset.into_inner().policy.expect("a policy").name;
    let get = GetPolicyRequest { name };
    let preset = policies()
        .get_policy(get)
        .await
        .expect("a policy")
        .into_inner();
    let mut definition = preset
        .policy
        .and_then(|policy| policy.definition)
        .expect("one");
    definition.mode = policy_definition::Mode::CompanyFirst as i32;
    "companies".clone_into(&mut request.policy_id);
    request.source = Some(Source::Definition(definition));
    let created = policies().create_policy(request).await.expect("a policy");
    let request = ActivatePolicyRequest {
        name: created.into_inner().policy.expect("a policy").revision,
        ..ActivatePolicyRequest::default()
    };
    policies()
        .activate_policy(request)
        .await
        .expect("activated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_joins_while_its_primary_contact_moves_is_brought_along() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        let epoch = suite.one.attach().await;
        let company = |id: &str| Contact {
            name: format!("workspaces/default/contacts/{id}"),
            kind: contact::Kind::Company as i32,
            ..Contact::default()
        };
        suite.directory.put(company("other-ltd"));
        let ada = suite.directory.person(ADA, "");
        suite.directory.put(Contact {
            company: "workspaces/default/contacts/other-ltd".to_owned(),
            ..ada
        });
        eventually("the opening", || async {
            let position = suite.one.position(ADA).await.expect("a position");
            (position.stage == "contact").then_some(())
        })
        .await;
        suite.one.convert(ADA, "client").await.expect("a client");
        suite.one.acquire(ADA).await.expect("a grant");
        let mut demotion = tonic::Request::new(ConvertContactRequest {
            contact: ADA.to_owned(),
            stage: "lead".to_owned(),
            ..ConvertContactRequest::default()
        });
        demotion.set_timeout(Duration::from_millis(500));
        let waits = suite
            .one
            .positions()
            .convert_contact(demotion)
            .await
            .expect("accepted");
        assert_eq!(waits.into_inner().state(), position::State::Revoking);

        suite
            .directory
            .change(ADA, |ada| ada.company = COMPANY.to_owned());
        suite.directory.put(company("example-ltd"));
        assert_eq!(stage_of(&suite.one, COMPANY).await, "");
        let recall = told(&suite.one).await.recalls.remove(0);
        let request = AcknowledgeRecallRequest {
            contact: recall.contact,
            holder: HOLDER.to_owned(),
            grant_revision: recall.grant_revision,
            documents_exist: false,
            epoch,
        };
        let answer = suite.one.entitlements().acknowledge_recall(request).await;
        assert!(answer.expect("an answer").into_inner().completed);
        eventually("the company's move", || async {
            (stage_of(&suite.one, COMPANY).await == "lead").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_is_answered_when_its_fence_is_acknowledged() {
    on_each_engine(async |suite| {
        let epoch = suite.one.attach().await;
        suite.directory.person(ADA, "client");
        suite.one.acquire(ADA).await.expect("a grant");
        let request = CreatePolicyRequest {
            parent: "workspaces/default".to_owned(),
            policy_id: "free-switch".to_owned(),
            source: Some(Source::Preset("free-switch".to_owned())),
            ..CreatePolicyRequest::default()
        };
        let created = suite
            .one
            .policies()
            .create_policy(request)
            .await
            .expect("a policy");
        let request = ActivatePolicyRequest {
            name: created.into_inner().policy.expect("a policy").revision,
            stage_map: [("prospect", "lead"), ("client", "contact")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into(),
            ..ActivatePolicyRequest::default()
        };
        let mut policies = suite.one.policies();
        let holder = async {
            let fence = told(&suite.one).await.fences.remove(0);
            let request = AcknowledgeFenceRequest {
                workspace: "workspaces/default".to_owned(),
                holder: HOLDER.to_owned(),
                min_policy_activation: fence.min_policy_activation,
                epoch,
            };
            suite
                .one
                .entitlements()
                .acknowledge_fence(request)
                .await
                .expect("taken");
        };
        let (activated, ()) = tokio::join!(policies.activate_policy(request), holder);
        let activation = activated
            .expect("accepted")
            .into_inner()
            .activation
            .expect("one");
        assert_ne!(activation.state(), policy_activation::State::Activating);
        assert!(activation.active_time.is_some());
        suite
            .one
            .convert(ADA, "lead")
            .await
            .expect("nothing waits any more");
    })
    .await;
}
