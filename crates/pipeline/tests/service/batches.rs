//! Batches of conversions, and previews of them.

use proto::contacts::v1::Contact;
use proto::pipeline::v1::{
    BatchConvertContactsRequest, BatchGetPositionsRequest, ConvertContactRequest,
    PreviewConversionsRequest,
};
use tonic::Code;
use types::Deadline;

use crate::suite::{metadata, on_each_engine, reason};

const ADA: &str = "workspaces/default/contacts/ada";
const REQUEST_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

fn batch(stages: &[(&str, &str)], atomic: bool) -> BatchConvertContactsRequest {
    BatchConvertContactsRequest {
        parent: "workspaces/default".to_owned(),
        requests: stages
            .iter()
            .map(|(contact, stage)| ConvertContactRequest {
                contact: format!("workspaces/default/contacts/{contact}"),
                stage: (*stage).to_owned(),
                ..ConvertContactRequest::default()
            })
            .collect(),
        atomic,
        ..BatchConvertContactsRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing_or_each_for_itself() {
    on_each_engine(async |suite| {
        for contact in ["a", "b", "c"] {
            suite
                .directory
                .person(&format!("workspaces/default/contacts/{contact}"), "");
        }
        let moves = [("c", "client"), ("a", "lead"), ("b", "vip")];
        let refused = suite
            .one
            .positions()
            .batch_convert_contacts(batch(&moves, true))
            .await
            .expect_err("two of them are refused");
        // The first in the order asked for.
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        assert!(metadata(&refused, "contact").ends_with("/a"));
        let c = suite
            .one
            .position("workspaces/default/contacts/c")
            .await
            .expect("a position");
        assert_eq!(c.stage, "lead");
        let mut each = batch(&moves, false);
        each.request_id = REQUEST_ID.to_owned();
        let done = suite
            .one
            .positions()
            .batch_convert_contacts(each.clone())
            .await;
        let done = done.expect("a result per contact").into_inner();
        let codes: Vec<i32> = done
            .conversions
            .iter()
            .map(|one| one.status.as_ref().map_or(-1, |status| status.code))
            .collect();
        assert_eq!(
            codes,
            [
                0,
                Code::FailedPrecondition as i32,
                Code::InvalidArgument as i32
            ]
        );
        let again = suite
            .one
            .positions()
            .batch_convert_contacts(each)
            .await
            .expect("again");
        assert_eq!(
            again
                .metadata()
                .get("clientele-replayed")
                .expect("the mark"),
            "1"
        );
        assert_eq!(again.into_inner(), done);
        let all = batch(&[("a", "prospect"), ("b", "client")], true);
        let done = suite
            .one
            .positions()
            .batch_convert_contacts(all)
            .await
            .expect("all of them");
        assert_eq!(done.into_inner().conversions.len(), 2);
        let twice = batch(&[("a", "client"), ("a", "client")], true);
        let refused = suite.one.positions().batch_convert_contacts(twice).await;
        assert_eq!(reason(&refused.expect_err("named twice")), "FIELD_INVALID");
        let absent = batch(&[("a", "client"), ("nobody", "client")], true);
        let refused = suite.one.positions().batch_convert_contacts(absent).await;
        assert_eq!(reason(&refused.expect_err("nobody")), "RESOURCE_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_contacts_are_converted_at_once() {
    on_each_engine(async |suite| {
        let contacts: Vec<String> = (0..1000).map(|number| format!("c{number}")).collect();
        for contact in &contacts {
            suite
                .directory
                .person(&format!("workspaces/default/contacts/{contact}"), "");
        }
        let moves: Vec<(&str, &str)> = contacts
            .iter()
            .map(|contact| (contact.as_str(), "client"))
            .collect();
        for atomic in [false, true] {
            let mut request = tonic::Request::new(batch(&moves, atomic));
            let patience = std::time::Duration::from_secs(30);
            request.extensions_mut().insert(Deadline::after(patience));
            let done = suite.one.positions().batch_convert_contacts(request).await;
            match done {
                Ok(done) => {
                    let done = done.into_inner().conversions;
                    assert!(!atomic && done.len() == 1000);
                    assert!(done.iter().all(|one| one.response.is_some()));
                }
                Err(refused) => {
                    assert!(atomic, "{refused:?}");
                    assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_agrees_with_the_call() {
    on_each_engine(async |suite| {
        let person = suite.directory.person(ADA, "");
        suite.directory.put(Contact {
            emails: Vec::new(),
            ..person
        });
        let request = PreviewConversionsRequest {
            contact: ADA.to_owned(),
            ..PreviewConversionsRequest::default()
        };
        let preview = suite.one.positions().preview_conversions(request).await;
        let stages = preview.expect("a preview").into_inner().stages;
        assert_eq!(stages.len(), 3);
        for stage in stages {
            let tried = suite
                .one
                .convert_with(ConvertContactRequest {
                    contact: ADA.to_owned(),
                    stage: stage.stage.clone(),
                    validate_only: true,
                    ..ConvertContactRequest::default()
                })
                .await;
            assert_eq!(stage.reachable, tried.is_ok(), "{}", stage.stage);
            if let Err(refused) = tried {
                assert_eq!(stage.refusal, reason(&refused));
            }
            if stage.stage == "client" {
                assert!(
                    stage
                        .guards
                        .iter()
                        .any(|guard| !guard.met && !guard.values.is_empty())
                );
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_that_fit_into_no_answer_together_are_read_in_several() {
    on_each_engine(async |suite| {
        let ids: Vec<String> = (0..21).map(|number| format!("c{number:02}")).collect();
        let name = |id: &String| format!("workspaces/default/contacts/{id}");
        for id in &ids {
            let person = suite.directory.person(&name(id), "");
            let note = "x".repeat(700_000);
            suite.directory.put(Contact { note, ..person });
        }
        for (stage, atomic) in [("prospect", true), ("client", false)] {
            let moves: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), stage)).collect();
            let mut positions = suite.one.positions();
            let done = positions
                .batch_convert_contacts(batch(&moves, atomic))
                .await;
            let done = done.expect("converted").into_inner().conversions;
            let answered: Vec<String> = done
                .into_iter()
                .filter_map(|one| one.response?.position)
                .map(|position| format!("{} {}", position.contact, position.stage))
                .collect();
            let expected: Vec<String> = ids
                .iter()
                .map(|id| format!("{} {stage}", name(id)))
                .collect();
            assert_eq!(answered, expected);
        }
        let request = BatchGetPositionsRequest {
            parent: "workspaces/default".to_owned(),
            names: ids
                .iter()
                .map(|id| format!("{}/position", name(id)))
                .collect(),
            at_least_as_fresh_as: vec![suite.directory.token()],
        };
        let read = suite.one.positions().batch_get_positions(request).await;
        let read = read.expect("read").into_inner().positions;
        assert!(read.len() == ids.len() && read.iter().all(|one| one.stage == "client"));
    })
    .await;
}
