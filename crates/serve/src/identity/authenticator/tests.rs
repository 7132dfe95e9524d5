//! From headers to identities: what is read, what is remembered, and for how long.

use std::time::Duration;

use http::HeaderName;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::*;
use crate::identity::json::Members;
use crate::peer::PEER_KEY;
use crate::testing::{AUDIENCE, ISSUER, Issuer, NOW, claims, claims_with, key_set};

/// Somebody whose token has these claims.
pub(crate) fn user_of(claims: &Value) -> Identity {
    let mapping = Compiled::new(Mapping::default()).expect("the default");
    let claims = Members::parse(claims.to_string().as_bytes()).expect("claims");
    Identity::User(Arc::new(User {
        principal: format!("{ISSUER}#ada"),
        access: mapping.access(&claims),
    }))
}

/// An authenticator of one key in a file.
struct Scene {
    issuer: Issuer,
    clock: Clock,
    path: std::path::PathBuf,
    process: ProcessSecret,
    authenticator: Authenticator,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let issuer = Issuer::new("a", Algorithm::EdDSA);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jwks.json");
        std::fs::write(&path, key_set(&[&issuer])).expect("written");
        let clock = Clock::fixed(Micros(NOW * 1_000_000));
        let process = ProcessSecret::generate();
        let settings = settings(&path.display().to_string(), Some(process.clone()));
        let pace = Pace {
            interval: Duration::from_millis(5),
            unknown_gap: Duration::ZERO,
            ..Pace::of(&settings.keys)
        };
        let authenticator = Authenticator::start_at(pace, settings, clock.clone()).await;
        Self {
            issuer,
            clock,
            path,
            process,
            authenticator: authenticator.expect("keys"),
            _folder: folder,
        }
    }

    fn token(&self, token: &str) -> Result<Identity, Option<Fault>> {
        self.authenticator
            .identify(&headers(&[("authorization", &format!("Bearer {token}"))]))
            .map(|proven| proven.identity)
    }
}

fn settings(keys: &str, process: Option<ProcessSecret>) -> Settings {
    Settings {
        keys: keys.parse().expect("a source"),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        nbf_may_be_missing: false,
        mapping: Mapping::default(),
        process,
    }
}

fn headers(given: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, value.parse().expect("a value"));
    }
    headers
}

fn problem<T: std::fmt::Debug>(judged: Result<T, Option<Fault>>) -> Problem {
    match judged {
        Err(Some(Fault::Invalid(problem, _))) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_tells_who_calls_and_what_they_may_do() {
    let scene = Scene::new().await;
    let Ok(Identity::User(user)) = scene.token(&scene.issuer.token(&claims())) else {
        panic!("a user");
    };
    assert_eq!(user.principal, "https://issuer.example#ada");
    assert!(user.access.allows("acme", "contacts.write"));
    let service = claims_with("clientele_service", json!("billing"));
    let judged = scene.token(&scene.issuer.token(&service));
    assert_eq!(judged, Ok(Identity::Service("billing")));
    for stranger in [
        json!("Billing"),
        json!("relay"),
        json!(["billing"]),
        json!(true),
    ] {
        let token = scene
            .issuer
            .token(&claims_with("clientele_service", stranger));
        assert_eq!(problem(scene.token(&token)), Problem::Claims);
    }
}

#[tokio::test]
async fn one_header_of_the_right_form_is_needed() {
    let scene = Scene::new().await;
    let good = format!("Bearer {}", scene.issuer.token(&claims()));
    let identify = |given: &[(&str, &str)]| scene.authenticator.identify(&headers(given));
    assert_eq!(identify(&[]), Err(Some(Fault::Missing)));
    assert!(identify(&[("authorization", &good.replace("Bearer", "bEARER"))]).is_ok());
    for given in [
        "",
        "Bearer",
        "Basic YTpi",
        &good[7..],
        &good.replace(' ', "  "),
    ] {
        assert_eq!(
            problem(identify(&[("authorization", given)])),
            Problem::Format,
            "{given}"
        );
    }
    let twice = [("authorization", &*good), ("authorization", &*good)];
    assert_eq!(problem(identify(&twice)), Problem::Format);
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_time() {
    let scene = Scene::new().await;
    let token = scene.issuer.token(&claims());
    for _ in 0..3 {
        assert!(scene.token(&token).is_ok());
    }
    scene.clock.advance(Duration::from_secs(60 + 29));
    assert!(scene.token(&token).is_ok());
    scene.clock.advance(Duration::from_secs(1));
    let expired = Fault::Expired(Micros((NOW + 60) * 1_000_000));
    assert_eq!(scene.token(&token), Err(Some(expired)));
}

#[tokio::test]
async fn how_long_a_token_is_good_is_told_whether_it_is_remembered_or_not() {
    let scene = Scene::new().await;
    let header = format!("Bearer {}", scene.issuer.token(&claims()));
    let headers = headers(&[("authorization", &header)]);
    for _ in 0..2 {
        let proven = scene.authenticator.identify(&headers).expect("good");
        let expires = proven.expires.expect("a token");
        let left = scene.authenticator.time_left(expires);
        assert_eq!(left, Duration::from_mins(1) + token::LEEWAY);
    }
    assert_eq!(scene.authenticator.time_left(Micros(0)), Duration::ZERO);
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_key() {
    let scene = Scene::new().await;
    let token = scene.issuer.token(&claims());
    assert!(scene.token(&token).is_ok());
    let next = Issuer::new("b", Algorithm::EdDSA);
    std::fs::write(&scene.path, key_set(&[&next])).expect("written");
    let headers = headers(&[(
        "authorization",
        &format!("Bearer {}", next.token(&claims())),
    )]);
    let late = scene.authenticator.identify_late(&headers).await;
    assert!(late.is_ok(), "{late:?}");
    assert_eq!(scene.token(&token), Err(None), "its key is no more");
}

#[tokio::test]
async fn no_more_tokens_are_remembered_than_there_is_room_for() {
    let scene = Scene::new().await;
    let identity = user_of(&json!({}));
    for number in 0..3 * REMEMBERED_MAX as u64 {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        let token = Remembered {
            identity: identity.clone(),
            expires: Micros(i64::MAX / 2),
            keys: 1,
        };
        scene.authenticator.0.remember(digest, token, Micros(0));
    }
    let remembered = scene
        .authenticator
        .0
        .remembered
        .read()
        .expect("not poisoned");
    assert!(remembered.len() <= REMEMBERED_MAX);
}

#[tokio::test]
async fn the_secret_of_the_process_proves_a_service_and_only_that_secret() {
    let scene = Scene::new().await;
    let ours = scene.process.header();
    let theirs = ProcessSecret::generate().header();
    let with = |secret: &HeaderValue, peer: &str| {
        let mut given = headers(&[(PEER_KEY, peer)]);
        given.insert(header::AUTHORIZATION, secret.clone());
        scene.authenticator.identify(&given)
    };
    let proven = Proven {
        identity: Identity::Service("billing"),
        expires: None,
    };
    assert_eq!(with(&ours, "billing"), Ok(proven));
    assert_eq!(problem(with(&theirs, "billing")), Problem::Signature);
    assert_eq!(problem(with(&ours, "somebody")), Problem::Signature);
    // The name of a peer alone proves nothing where everybody is asked who they are.
    let named = headers(&[(PEER_KEY, "billing")]);
    assert_eq!(
        scene.authenticator.identify(&named),
        Err(Some(Fault::Missing))
    );
}

#[tokio::test]
async fn settings_that_can_not_be_meant_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let start = async |settings: Settings| {
        let started = Authenticator::start(settings, Clock::system()).await;
        started.expect_err("refused").to_string()
    };
    let missing = start(settings(&path.display().to_string(), None)).await;
    assert!(missing.contains("jwks.json"), "{missing}");
    std::fs::write(&path, key_set(&[&Issuer::new("a", Algorithm::EdDSA)])).expect("written");
    let good = settings(&path.display().to_string(), None);
    for issuer in ["", "a#b"] {
        let settings = Settings {
            issuer: issuer.to_owned(),
            ..good.clone()
        };
        assert!(start(settings).await.contains("issuer"));
    }
    let settings = Settings {
        audience: String::new(),
        ..good
    };
    assert!(start(settings).await.contains("audience"));
}

#[tokio::test]
async fn without_keys_no_token_is_judged() {
    let nowhere = "http://127.0.0.1:1/keys";
    let started = Authenticator::start(settings(nowhere, None), Clock::system()).await;
    let authenticator = started.expect("keys may come later");
    let given = headers(&[("authorization", "Bearer a.b.c")]);
    assert_eq!(authenticator.identify(&given), Err(Some(Fault::NoKeys)));
    let status = tonic::Status::from(Fault::NoKeys);
    assert_eq!(status.code(), tonic::Code::Unavailable);
}
