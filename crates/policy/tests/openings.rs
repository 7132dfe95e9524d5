//! Positions that begin and end: opening, importing, closing and opening again.

mod common;

use common::{DAY, NOW, convert, path, preset, ready};
use policy::{Cause, Closing, Command, Facts, Position, Refusal, Request, decide};
use types::Micros;

#[test]
fn whoever_has_no_position_is_converted_only_where_contacts_are_opened() {
    let policy = preset("relationship");
    let none = Position::none();
    let opened = convert(&policy, &none, &ready(), "lead").expect("a vendor who shows interest");
    assert_eq!(opened.transitions[0].from, None);
    assert_eq!(opened.transitions[0].revision, 1);
    assert!(!opened.transitions[0].skip);
    let refusal = convert(&policy, &none, &ready(), "customer").expect_err("not opened there");
    assert!(
        matches!(&refusal, Refusal::TransitionNotAllowed { from: None, allowed, .. } if allowed == &["lead"])
    );
    let mut facts = ready();
    facts.contact.source.channel = "DIRECT".into();
    assert_eq!(
        convert(&policy, &none, &facts, "lead")
            .expect_err("guarded")
            .reason(),
        "GUARD_NOT_MET"
    );
}

#[test]
fn opening_what_is_open_changes_nothing() {
    let policy = preset("one-way");
    let position = Position::at("client", 2, Micros(0));
    let command = Command::Open {
        requested_stage: "lead",
        request: Request::default(),
        imported: true,
    };
    let decision = decide(&policy, &position, &ready(), command, NOW).expect("not refused");
    assert!(decision.is_empty() && decision.withheld.is_none());
}

#[test]
fn imports_are_marked_and_pass_the_same_guards() {
    let policy = preset("one-way");
    let import = |facts: &Facts| {
        let command = Command::Open {
            requested_stage: "client",
            request: Request::default(),
            imported: true,
        };
        decide(&policy, &Position::none(), facts, command, NOW)
    };
    assert_eq!(
        import(&ready()).expect("it opens").transitions[0].cause,
        Cause::Import
    );
    assert_eq!(
        import(&Facts::default()).expect_err("no e-mail").reason(),
        "GUARD_NOT_MET"
    );
}

#[test]
fn what_was_imported_says_so_however_late_it_opens() {
    let policy = preset("one-way");
    let later = |imported| {
        let command = Command::FactsChanged {
            requested_stage: "client",
            imported,
        };
        decide(&policy, &Position::none(), &ready(), command, NOW).expect("it opens")
    };
    assert_eq!(later(true).transitions[0].cause, Cause::Import);
    assert_eq!(later(false).transitions[0].cause, Cause::Opening);
}

#[test]
fn deletion_closes_and_undeletion_stands_where_it_stood() {
    let policy = preset("one-way");
    let client = Position::at("client", 3, Micros(DAY));
    let request = Request {
        actor: "ada@example.com",
        ..Request::default()
    };
    let close = Command::Close {
        cause: Closing::Deletion,
        request,
    };
    let closed = decide(&policy, &client, &ready(), close, NOW).expect("always");
    let row = &closed.transitions[0];
    assert_eq!(
        (row.to.as_deref(), row.to_role, row.cause),
        (None, None, Cause::Deletion)
    );
    assert_eq!(row.lost.len(), 7);
    let gone = client.after(&closed);
    assert_eq!(
        gone,
        Position {
            stage: None,
            revision: 4,
            entered: NOW
        }
    );
    assert!(
        decide(&policy, &gone, &ready(), close, NOW)
            .expect("always")
            .is_empty()
    );
    // Nothing else opens it again: that would be a way backward.
    assert!(gone.is_closed());
    let refusal = convert(&policy, &gone, &ready(), "lead").expect_err("closed");
    assert_eq!(refusal.reason(), "RESOURCE_DELETED");
    assert!(common::facts_changed(&policy, &gone, &ready()).is_empty());
    let open = Command::Open {
        requested_stage: "lead",
        request,
        imported: false,
    };
    assert!(decide(&policy, &gone, &ready(), open, NOW).is_err());
    // Without a guard: the e-mail address may be gone by now.
    let reopen = Command::Reopen {
        stage: "client",
        request,
    };
    let again = decide(&policy, &gone, &Facts::default(), reopen, NOW).expect("it stood there");
    assert_eq!(path(&again), ["client"]);
    assert_eq!(again.transitions[0].cause, Cause::Undeletion);
    assert!(
        decide(&policy, &client, &ready(), reopen, NOW).is_err(),
        "it is open"
    );
}
