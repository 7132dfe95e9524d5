//! Filters, tokens and messages of a Watch.

use types::Micros;

use super::super::log::CONTACT_PREFIX;
use super::*;

#[test]
fn a_filter_names_kinds_of_changes() {
    assert_eq!(kinds_of("").expect("a filter").len(), Change::ALL.len());
    let kinds = kinds_of("change != POSITION_RECORDED").expect("a filter");
    assert!(!kinds.contains(&"contact.position_recorded"));
    assert_eq!(kinds.len(), Change::ALL.len() - 1);
    let kinds = kinds_of("change = CREATED OR change = DELETED").expect("a filter");
    assert_eq!(kinds, ["contact.created", "contact.deleted"]);
    assert!(kinds.iter().all(|kind| kind.starts_with(CONTACT_PREFIX)));
    assert!(kinds_of("display_name = \"x\"").is_err());
}

#[test]
fn a_transaction_that_no_client_could_read_at_once_is_told_in_parts() {
    let change = |id: i64| change_log::Change {
        position: LogPosition {
            epoch: 1,
            tx: 5,
            id,
        },
        last: false,
        workspace: "w".into(),
        kind: "contact.updated".into(),
        resource: String::new(),
        revision: 1,
        payload: v1::Contact {
            note: "x".repeat(MESSAGE_BYTES_MAX / 3),
            ..v1::Contact::default()
        }
        .encode_to_vec(),
        paths: String::new(),
        actor: String::new(),
        request_id: String::new(),
        event_id: id.to_string(),
        record_time: Micros(0),
    };
    let batch = Batch {
        changes: (1..=5).map(change).collect(),
        more: false,
        through: change(5).position,
    };
    let (first, rest) = happened(&batch, resume_token).expect("messages");
    let parts: Vec<_> = std::iter::once(first).chain(rest).collect();
    let told = |part: &Told| match &part.changes {
        Changes::Happened(changes, more) => {
            let ids: Vec<String> = changes.iter().map(|one| one.event_id.clone()).collect();
            (ids.join(" "), *more, part.resume_token.clone())
        }
        other => panic!("{other:?}"),
    };
    let parts: Vec<_> = parts.iter().map(told).collect();
    let token = |id: i64| resume_token(change(id).position);
    let expected = [
        ("1 2".to_owned(), true, token(2)),
        ("3 4".to_owned(), true, token(4)),
        ("5".to_owned(), false, token(5)),
    ];
    assert_eq!(parts, expected);
    let end = Batch {
        changes: Vec::new(),
        more: false,
        through: change(5).position,
    };
    let (only, rest) = happened(&end, resume_token).expect("a message");
    assert_eq!((told(&only).0.as_str(), rest.len()), ("", 0));
}
