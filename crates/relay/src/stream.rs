//! The stream that keeps the events: how it is made, and what an existing one must be like.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::settings::Settings;

/// How long an event may be on its way twice: it waits for an acknowledgement, is tried again, also by
/// another process after this one's lease has run out. The stream must know its id for as long.
pub(crate) const REDELIVERY: Duration = Duration::from_mins(2);

/// For how long a stream that we make knows the ids of events.
const DUPLICATES: Duration = Duration::from_mins(10);

/// How long a stream that we make keeps events.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The stream as it is made where there is none.
pub(crate) fn made(settings: &Settings) -> Config {
    Config {
        name: settings.stream.clone(),
        description: Some("What happened in Clientele, as CloudEvents".to_owned()),
        subjects: vec![format!("{}.>", settings.prefix)],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        max_age: KEPT,
        duplicate_window: DUPLICATES,
        allow_direct: true,
        ..Config::default()
    }
}

/// What keeps an existing stream from taking the events of `service`, and what to do about it.
pub(crate) fn misfit(config: &Config, settings: &Settings, service: &str) -> Option<String> {
    let name = &config.name;
    let needed = format!("{}.{service}.>", settings.prefix);
    if config.mirror.is_some() || config.sealed {
        return Some(format!(
            "the stream {name} takes no messages: it is sealed or a mirror"
        ));
    }
    if config.no_ack {
        return Some(format!(
            "the stream {name} acknowledges nothing: set no_ack to false"
        ));
    }
    if !config
        .subjects
        .iter()
        .any(|subject| covers(subject, &needed))
    {
        return Some(format!(
            "the stream {name} does not take the subjects {needed}: add them to its subjects"
        ));
    }
    if config.duplicate_window < REDELIVERY {
        return Some(format!(
            "the stream {name} recognises repeated events for {} s only: set its duplicate window \
             to {} s or more",
            config.duplicate_window.as_secs(),
            REDELIVERY.as_secs()
        ));
    }
    None
}

/// Whether every subject that `inner` stands for is one of `outer`'s.
fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(word)) if word != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("nats://127.0.0.1").expect("settings")
    }

    #[test]
    fn what_we_make_fits() {
        for service in ["contacts", "pipeline", "billing"] {
            assert_eq!(misfit(&made(&settings()), &settings(), service), None);
        }
    }

    #[test]
    fn what_we_make_is_on_as_many_servers_as_is_said() {
        assert_eq!(made(&settings()).num_replicas, 1);
        let settings = settings().with_replicas(3).expect("settings");
        assert_eq!(made(&settings).num_replicas, 3);
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_cure() {
        type Case = (fn(&mut Config), &'static str);
        let cases: [Case; 5] = [
            (
                |c| c.duplicate_window = Duration::from_secs(119),
                "120 s or more",
            ),
            (
                |c| c.subjects = vec!["clientele.pipeline.>".to_owned()],
                "clientele.contacts.>",
            ),
            (
                |c| c.subjects = vec!["clientele.*".to_owned()],
                "clientele.contacts.>",
            ),
            (|c| c.no_ack = true, "no_ack"),
            (|c| c.sealed = true, "sealed"),
        ];
        for (change, told) in cases {
            let mut config = made(&settings());
            change(&mut config);
            let found = misfit(&config, &settings(), "contacts").expect(told);
            assert!(found.contains(told), "{found}");
        }
    }

    #[test]
    fn wildcards_cover_what_is_narrower() {
        for (outer, inner) in [
            (">", "a.b.>"),
            ("a.>", "a.b.>"),
            ("a.b.>", "a.b.>"),
            ("*.b.>", "a.b.>"),
            ("a.*.>", "a.b.>"),
        ] {
            assert!(covers(outer, inner), "{outer} covers {inner}");
        }
        for (outer, inner) in [
            ("a.b", "a.b.>"),
            ("a.b.*", "a.b.>"),
            ("a.b.c.>", "a.b.>"),
            ("a.c.>", "a.b.>"),
            ("a.*", "a.>"),
        ] {
            assert!(!covers(outer, inner), "{outer} does not cover {inner}");
        }
    }
}
