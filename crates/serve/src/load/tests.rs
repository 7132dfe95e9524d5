use super::*;

const WORKSPACE: &str = "acme";

fn load(settings: &Concurrency) -> Arc<Load> {
    Pair::new("contacts", settings).calls
}

fn few(calls_max: usize, critical_max: usize, queue_max: usize) -> Arc<Load> {
    load(&Concurrency {
        calls_max,
        critical_max,
        queue_max,
        ..Concurrency::default()
    })
}

fn place(load: &Arc<Load>, class: Class) -> Place {
    match load.enter(class) {
        Answer::Place(place) => place,
        other => panic!("a place for {class:?}, not {}", name(&other)),
    }
}

fn waits(load: &Arc<Load>, class: Class) -> oneshot::Receiver<Place> {
    match load.enter(class) {
        Answer::Waits(waits) => waits,
        other => panic!("{class:?} waits, not {}", name(&other)),
    }
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Place(_) => "a place",
        Answer::Waits(_) => "waiting",
        Answer::Refused(_) => "a refusal",
    }
}

#[test]
fn a_free_place_goes_to_the_highest_class_that_waits() {
    let load = few(1, 0, 8);
    let mut held = place(&load, Class::Default);
    let mut waiting: Vec<_> = [Class::Sheddable, Class::Default, Class::Critical]
        .map(|class| waits(&load, class))
        .into();
    while let Some(mut next) = waiting.pop() {
        drop(held);
        held = next.try_recv().expect("its turn");
        assert!(waiting.iter_mut().all(|other| other.try_recv().is_err()));
    }
    assert_eq!(name(&load.enter(Class::Default)), "waiting");
}

#[test]
fn a_full_queue_refuses_the_lowest_class_that_came_last() {
    let load = few(1, 0, 3);
    let _held = place(&load, Class::Default);
    let mut lists = [Class::Sheddable; 2].map(|class| waits(&load, class));
    let mut write = waits(&load, Class::Default);
    assert_eq!(name(&load.enter(Class::Sheddable)), "a refusal");
    let refused = |waits: &mut oneshot::Receiver<Place>| {
        waits.try_recv().expect_err("no turn") == oneshot::error::TryRecvError::Closed
    };
    let _second = waits(&load, Class::Default);
    assert!(!refused(&mut lists[0]) && refused(&mut lists[1]));
    let _recall = waits(&load, Class::Critical);
    assert!(refused(&mut lists[0]) && !refused(&mut write));
    let Answer::Refused(status) = load.enter(Class::Default) else {
        panic!("there is nobody below");
    };
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[test]
fn who_has_gone_while_it_waited_takes_neither_a_place_nor_room() {
    let load = few(1, 0, 1);
    let held = place(&load, Class::Default);
    drop(waits(&load, Class::Default));
    let mut next = waits(&load, Class::Default);
    drop(held);
    drop(next.try_recv().expect("its turn"));
    place(&load, Class::Default);
}

#[test]
fn who_steps_aside_gives_the_place_to_the_next_and_comes_back_without_waiting() {
    let load = few(1, 0, 1);
    let first = place(&load, Class::Default);
    first.handle().share(WORKSPACE).expect("alone");
    let aside = first.handle().step_aside().expect("there is room");
    let second = place(&load, Class::Default);
    drop(aside);
    drop(second);
    assert_eq!(name(&load.enter(Class::Default)), "waiting");
    // Its answer may come while it is aside, and its handle may be used by whoever still has it.
    let handle = first.handle();
    let aside = handle.step_aside();
    drop(first);
    drop(aside);
    let _aside = handle.step_aside();
    handle.share(WORKSPACE).expect("is over");
    place(&load, Class::Default);
    place(&load, Class::Default);
}

#[test]
fn whose_caller_has_gone_keeps_the_place_and_the_share_until_the_work_is_done() {
    let load = few(1, 0, 1);
    let gone = place(&load, Class::Default);
    gone.handle().share(WORKSPACE).expect("alone");
    let handle = gone.handle();
    let works = [handle.work(), handle.work()];
    drop(gone);
    let mut next = waits(&load, Class::Default);
    for work in works {
        assert!(next.try_recv().is_err(), "it is worked in");
        drop(work.expect("it was not over"));
    }
    let next = next.try_recv().expect("its turn");
    assert!(handle.work().is_none(), "it is over");
    drop(next);
    // Work that is done before the answer changes nothing.
    let answered = place(&load, Class::Default);
    drop(answered.handle().work());
    assert_eq!(name(&load.enter(Class::Default)), "waiting");
    drop(answered);
    place(&load, Class::Default);
}

#[test]
fn a_stream_that_is_open_stays_in_its_place() {
    let load = few(1, 0, 1);
    let stream = place(&load, Class::Default);
    let aside = stream.handle().step_aside();
    stream.open();
    let _next = waits(&load, Class::Default);
    drop(aside);
    let _aside = stream.handle().step_aside().expect("says nothing");
    assert_eq!(name(&load.enter(Class::Sheddable)), "a refusal");
    assert_eq!(load.state().aside, 0);
}

#[test]
fn there_is_room_aside_for_so_many() {
    let load = few(ASIDE_MAX + 1, 0, 1);
    let places: Vec<Place> = (0..=ASIDE_MAX)
        .map(|_| place(&load, Class::Default))
        .collect();
    let handles = places.iter().map(Place::handle);
    let aside: Vec<_> = handles.map(|handle| handle.step_aside()).collect();
    let full: Vec<bool> = aside.iter().map(Option::is_none).collect();
    assert_eq!(full.iter().filter(|full| **full).count(), 1);
    assert!(full[ASIDE_MAX]);
}

#[test]
fn who_crowds_aside_leaves_room_to_critical_calls() {
    let load = few(ASIDE_MAX, ASIDE_CRITICAL_MAX + 1, 1);
    let crowd: Vec<Place> = (0..ASIDE_MAX)
        .map(|_| place(&load, Class::Default))
        .collect();
    let crowd: Vec<_> = crowd
        .iter()
        .map(|place| place.handle().step_aside())
        .collect();
    assert!(crowd.iter().all(Option::is_some));
    let late = place(&load, Class::Default);
    assert!(late.handle().step_aside().is_none(), "the room is full");
    let peers: Vec<Place> = (0..=ASIDE_CRITICAL_MAX)
        .map(|_| place(&load, Class::Critical))
        .collect();
    let peers: Vec<_> = peers
        .iter()
        .map(|place| place.handle().step_aside())
        .collect();
    let aside = peers.iter().filter(|aside| aside.is_some()).count();
    assert_eq!(aside, ASIDE_CRITICAL_MAX, "that has an end too");
}

#[test]
fn who_claimed_a_rank_in_vain_holds_no_reserved_place() {
    let load = few(1, 1, 1);
    let claimed = place(&load, Class::Critical);
    claimed
        .handle()
        .demote(Class::Default)
        .expect("a common one");
    let critical = place(&load, Class::Critical);
    critical.handle().demote(Class::Default).expect_err("none");
    assert!(critical.is_refused() && !claimed.is_refused());
    drop(critical);
    place(&load, Class::Critical);
}

#[test]
fn the_last_places_are_for_workspaces_that_have_few() {
    let load = few(8, 1, 1);
    let quiet = place(&load, Class::Default);
    quiet.handle().share("quiet").expect("the first");
    let mut noisy = Vec::new();
    let refused = loop {
        let next = place(&load, Class::Default);
        match next.handle().share("noisy") {
            Ok(()) => noisy.push(next),
            Err(status) => break status,
        }
    };
    assert_eq!(noisy.len(), 5);
    assert_eq!(
        proto::status::reason(&refused),
        Some(proto::errors::v1::Reason::Overloaded)
    );
    let again = place(&load, Class::Default);
    again.handle().share("quiet").expect("its share");
    let critical = place(&load, Class::Critical);
    critical.handle().share("noisy").expect("for everybody");
}
