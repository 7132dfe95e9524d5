//! Following changes.

use proto::contacts::v1::contact_change::Kind;
use proto::contacts::v1::watch_contacts_request::Start;
use proto::contacts::v1::watch_contacts_response::Event;
use proto::contacts::v1::{
    Contact, ContactChange, RecordPositionsRequest, RecordedPosition, UpdateContactRequest,
    WatchContactsRequest, WatchContactsResponse,
};
use proto::errors::v1::Reason;
use tonic::{Code, Streaming};
use types::{Service, Token, TokenKind};

use crate::support::{PARENT, Suite, fields, from_pipeline, name, on_each_engine, refused};

fn watch(start: Start) -> WatchContactsRequest {
    WatchContactsRequest {
        parent: PARENT.into(),
        start: Some(start),
        ..WatchContactsRequest::default()
    }
}

async fn open(
    suite: &mut Suite,
    request: WatchContactsRequest,
) -> Streaming<WatchContactsResponse> {
    suite.settle().await;
    suite
        .contacts
        .watch_contacts(request)
        .await
        .expect("a watch")
        .into_inner()
}

async fn next(stream: &mut Streaming<WatchContactsResponse>) -> WatchContactsResponse {
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), stream.message()).await;
    let told = told
        .expect("a message in time")
        .expect("no error")
        .expect("the stream goes on");
    assert!(!told.resume_token.is_empty());
    told
}

fn changes(told: WatchContactsResponse) -> Vec<ContactChange> {
    match told.event {
        Some(Event::Changes(changes)) => {
            assert!(!changes.more);
            changes.changes
        }
        other => panic!("changes are due, not {other:?}"),
    }
}

async fn note(suite: &mut Suite, id: &str, note: &str) {
    let request = UpdateContactRequest {
        contact: Some(Contact {
            name: name(id),
            note: note.into(),
            ..Contact::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["note".into()],
        }),
        request_id: "0190163d-8694-739b-aea5-966c26f8ad93".into(),
        ..UpdateContactRequest::default()
    };
    suite
        .contacts
        .update_contact(request)
        .await
        .expect("changed");
}

async fn position(suite: &mut Suite, ids: &[&str], revision: i64) {
    let positions = ids.iter().map(|id| RecordedPosition {
        contact: name(id),
        stage: "lead".into(),
        role: 2,
        revision,
    });
    let token = Token {
        kind: TokenKind::Consistency,
        service: Service::Pipeline,
        epoch: 1,
        tx: 1,
        id: 1,
    };
    let request = RecordPositionsRequest {
        positions: positions.collect(),
        complete_through: token.to_string(),
        epoch: 1,
    };
    suite
        .contacts
        .record_positions(from_pipeline(request))
        .await
        .expect("recorded");
}

#[tokio::test]
async fn changes_are_told_live_and_resumed_without_loss() {
    on_each_engine(|mut suite| async move {
        suite.create("before", Contact::default()).await;
        let mut live = open(&mut suite, watch(Start::Now(true))).await;
        suite.create("ada", Contact::default()).await;
        note(&mut suite, "ada", "new").await;
        let first = next(&mut live).await;
        let token = first.resume_token.clone();
        let made = &changes(first)[0];
        assert_eq!((made.kind(), made.actor.as_str()), (Kind::Created, "local"));
        assert_eq!(
            made.contact.as_ref().map(|c| c.name.clone()),
            Some(name("ada"))
        );
        let second = changes(next(&mut live).await);
        assert_eq!(
            (second[0].kind(), &second[0].changed_paths[..]),
            (Kind::Updated, &["note".to_owned()][..])
        );
        assert_eq!(second[0].request_id, "0190163d-8694-739b-aea5-966c26f8ad93");
        assert_eq!(
            second[0].contact.as_ref().map(|c| c.note.as_str()),
            Some("new")
        );
        assert_ne!(second[0].event_id, made.event_id);

        let mut suite = suite.restarted().await;
        let mut resumed = open(&mut suite, watch(Start::ResumeToken(token))).await;
        assert_eq!(changes(next(&mut resumed).await), second);
        let mut oldest = open(&mut suite, watch(Start::Oldest(true))).await;
        let first = changes(next(&mut oldest).await);
        assert_eq!(
            first[0].contact.as_ref().map(|c| c.name.clone()),
            Some(name("before"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_transaction_is_told_as_one_and_large_ones_in_parts() {
    on_each_engine(|mut suite| async move {
        let ids: Vec<String> = (0..120).map(|number| format!("c{number:03}")).collect();
        for id in &ids {
            suite.create(id, Contact::default()).await;
        }
        let mut live = open(&mut suite, watch(Start::Now(true))).await;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        position(&mut suite, &ids, 1).await;
        let mut told = Vec::new();
        loop {
            let message = next(&mut live).await;
            let Some(Event::Changes(part)) = message.event else {
                panic!("changes are due");
            };
            told.extend(part.changes.iter().map(|change| {
                assert_eq!(change.kind(), Kind::PositionRecorded);
                change.contact.as_ref().expect("a contact").name.clone()
            }));
            if !part.more {
                break;
            }
        }
        assert_eq!(told, ids.iter().map(|id| name(id)).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn followers_leave_out_positions_and_see_all_workspaces() {
    on_each_engine(|mut suite| async move {
        let everything = WatchContactsRequest {
            parent: "workspaces/-".into(),
            filter: "change != POSITION_RECORDED".into(),
            ..watch(Start::Now(true))
        };
        let answer = suite.contacts.watch_contacts(everything.clone()).await;
        refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
        suite.settle().await;
        let mut live = suite
            .contacts
            .watch_contacts(from_pipeline(everything))
            .await
            .expect("a watch")
            .into_inner();
        suite.create("ada", Contact::default()).await;
        position(&mut suite, &["ada"], 1).await;
        note(&mut suite, "ada", "new").await;
        let kinds =
            [next(&mut live).await, next(&mut live).await].map(|told| changes(told)[0].kind());
        assert_eq!(kinds, [Kind::Created, Kind::Updated]);
        let wrong = WatchContactsRequest {
            filter: "kind = PERSON".into(),
            ..watch(Start::Now(true))
        };
        let answer = suite.contacts.watch_contacts(wrong).await;
        refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_comes_first_and_goes_on_where_it_broke_off() {
    on_each_engine(|mut suite| async move {
        for number in 0..120 {
            suite
                .create(&format!("c{number:03}"), Contact::default())
                .await;
        }
        let request = WatchContactsRequest {
            send_snapshot: true,
            ..watch(Start::Now(true))
        };
        let mut stream = open(&mut suite, request).await;
        let first = next(&mut stream).await;
        let Some(Event::Snapshot(page)) = first.event else {
            panic!("a part of the snapshot is due");
        };
        let mut found: Vec<String> = page.contacts.into_iter().map(|c| c.name).collect();
        drop(stream);
        // What happens meanwhile is told after the snapshot, whether it was in it or not.
        suite.create("new", Contact::default()).await;
        let mut stream = open(&mut suite, watch(Start::ResumeToken(first.resume_token))).await;
        loop {
            match next(&mut stream).await.event {
                Some(Event::Snapshot(page)) => {
                    found.extend(page.contacts.into_iter().map(|c| c.name));
                }
                Some(Event::SnapshotEnd(_)) => break,
                other => panic!("the snapshot is due, not {other:?}"),
            }
        }
        let distinct: std::collections::BTreeSet<_> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (121, 121));
        let after = changes(next(&mut stream).await);
        assert_eq!(
            after[0].contact.as_ref().map(|c| c.name.clone()),
            Some(name("new"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_token_resumes_no_watch_of_another_parent() {
    on_each_engine(|mut suite| async move {
        suite.create("zoe", Contact::default()).await;
        let of = |parent: &str, start| WatchContactsRequest {
            parent: parent.into(),
            send_snapshot: start == Start::Now(true),
            ..watch(start)
        };
        let mut stream = open(&mut suite, of(PARENT, Start::Now(true))).await;
        let mut tokens = Vec::new();
        loop {
            let told = next(&mut stream).await;
            tokens.push(told.resume_token);
            if matches!(told.event, Some(Event::SnapshotEnd(_))) {
                break;
            }
        }
        suite.create("ada", Contact::default()).await;
        let told = next(&mut stream).await;
        tokens.push(told.resume_token);
        for token in tokens {
            for foreign in ["workspaces/v", "workspaces/-"] {
                let request = from_pipeline(of(foreign, Start::ResumeToken(token.clone())));
                let answer = suite.contacts.watch_contacts(request).await;
                let status = answer.as_ref().map(|_| ()).expect_err("a refusal");
                assert_eq!(fields(status), ["resume_token"]);
                refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
            }
            open(&mut suite, of(PARENT, Start::ResumeToken(token))).await;
        }
        // Of all workspaces the place in the log is good for each of them, that in a snapshot is not.
        let all = from_pipeline(of("workspaces/-", Start::Now(true)));
        let stream = suite.contacts.watch_contacts(all).await;
        let mut stream = stream.expect("a watch").into_inner();
        let token = next(&mut stream).await.resume_token;
        let answer = suite
            .contacts
            .watch_contacts(of(PARENT, Start::ResumeToken(token)))
            .await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
    })
    .await;
}

#[tokio::test]
async fn tokens_that_were_not_given_out_for_this_are_refused() {
    on_each_engine(|mut suite| async move {
        let made = |kind, service, epoch| {
            Token {
                kind,
                service,
                epoch,
                tx: 1,
                id: 1,
            }
            .to_string()
        };
        let epoch = suite.service.store().epoch();
        for wrong in [
            "junk".to_owned(),
            made(TokenKind::Resume, Service::Pipeline, epoch),
            made(TokenKind::Consistency, Service::Contacts, epoch),
        ] {
            let answer = suite
                .contacts
                .watch_contacts(watch(Start::ResumeToken(wrong)))
                .await;
            refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
        }
        let restored = made(TokenKind::Resume, Service::Contacts, epoch + 1);
        let answer = suite
            .contacts
            .watch_contacts(watch(Start::ResumeToken(restored)))
            .await;
        let metadata = refused(answer, Code::OutOfRange, Reason::ResumeTokenExpired);
        let oldest = metadata["oldest_token"].clone();
        open(&mut suite, watch(Start::ResumeToken(oldest))).await;
        let silent = WatchContactsRequest {
            heartbeat_interval: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
            ..watch(Start::Now(true))
        };
        let answer = suite.contacts.watch_contacts(silent).await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
    })
    .await;
}

#[tokio::test]
async fn an_idle_watch_shows_that_it_lives() {
    on_each_engine(|mut suite| async move {
        let request = WatchContactsRequest {
            heartbeat_interval: Some(prost_types::Duration {
                seconds: 5,
                nanos: 0,
            }),
            ..watch(Start::Now(true))
        };
        let mut stream = open(&mut suite, request).await;
        let beat = next(&mut stream).await;
        assert!(matches!(beat.event, Some(Event::Heartbeat(_))));
        let mut resumed = open(&mut suite, watch(Start::ResumeToken(beat.resume_token))).await;
        suite.create("ada", Contact::default()).await;
        assert_eq!(changes(next(&mut resumed).await)[0].kind(), Kind::Created);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_has_no_message_that_clients_could_not_read() {
    on_each_engine(|mut suite| async move {
        let large = Contact {
            note: "\u{1d11e}".repeat(20_000),
            ..Contact::default()
        };
        for number in 0..50 {
            suite.create(&format!("c{number}"), large.clone()).await;
        }
        let request = WatchContactsRequest {
            send_snapshot: true,
            ..watch(Start::Now(true))
        };
        let mut stream = open(&mut suite, request).await;
        let mut pages = Vec::new();
        loop {
            let told = next(&mut stream).await;
            match told.event {
                Some(Event::Snapshot(page)) => pages.push(page.contacts.len()),
                Some(Event::SnapshotEnd(_)) => break,
                other => panic!("a snapshot is due, not {other:?}"),
            }
        }
        assert_eq!(pages.iter().sum::<usize>(), 50);
        assert!(
            pages.len() > 1 && pages.iter().all(|page| *page < 40),
            "{pages:?}"
        );
    })
    .await;
}
