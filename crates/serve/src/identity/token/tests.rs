//! Tokens as strangers would forge them, and how each is refused.

use serde_json::json;

use super::*;
use crate::testing::{AUDIENCE, ISSUER, Issuer, NOW, claims, claims_with, key_set, message};

fn set(issuers: &[&Issuer]) -> KeySet {
    KeySet::parse(key_set(issuers).as_bytes()).expect("a key set")
}

fn judged(token: &str, keys: &KeySet) -> Judged {
    let expected = Expected {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        nbf_may_be_missing: false,
    };
    judge(token, keys, &expected, Micros(NOW * 1_000_000))
}

/// What is wrong with a token; `None` where it is good.
fn fault(token: &str, keys: &KeySet) -> Option<Fault> {
    match judged(token, keys) {
        Judged::Good(_) => None,
        Judged::Bad(fault) => Some(fault),
        Judged::UnknownKey => Some(Fault::Invalid(Problem::Key, "")),
    }
}

fn problem(token: &str, keys: &KeySet) -> Problem {
    match fault(token, keys) {
        Some(Fault::Invalid(problem, _)) => problem,
        other => panic!("{other:?}: {token}"),
    }
}

#[test]
fn tokens_of_all_three_algorithms_are_accepted() {
    let issuers = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
        .map(|algorithm| Issuer::new(&format!("{algorithm:?}"), algorithm));
    let keys = set(&issuers.each_ref());
    for issuer in &issuers {
        let Judged::Good(verified) = judged(&issuer.token(&claims()), &keys) else {
            panic!("{:?} is good", issuer.algorithm);
        };
        assert_eq!(verified.subject, "ada");
        assert_eq!(verified.expires, Micros((NOW + 60) * 1_000_000));
    }
}

#[test]
fn no_algorithm_but_the_keys_own_is_accepted() {
    let rsa = Issuer::new("rsa", Algorithm::RS256);
    let ed = Issuer::new("ed", Algorithm::EdDSA);
    let keys = set(&[&rsa, &ed]);
    let text = claims().to_string();
    for unsigned in ["none", "None", "NONE", "nOnE"] {
        let header = json!({"alg": unsigned, "kid": "rsa"}).to_string();
        let token = format!("{}.", message(&header, &text));
        assert_eq!(problem(&token, &keys), Problem::Algorithm);
    }
    // Signed with the public key, which everybody knows, as if it were a shared secret.
    for algorithm in ["HS256", "HS384", "HS512"] {
        let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
        let signed = message(&header, &text);
        let secret = jsonwebtoken::EncodingKey::from_secret(&rsa.public);
        let forged = jsonwebtoken::crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256);
        let token = format!("{signed}.{}", forged.expect("a signature"));
        assert_eq!(problem(&token, &keys), Problem::Algorithm, "{algorithm}");
    }
    for (issuer, claimed) in [(&rsa, "EdDSA"), (&rsa, "ES256"), (&ed, "RS256")] {
        let header = json!({"alg": claimed, "kid": issuer.id}).to_string();
        let token = issuer.signed(&header, &text);
        assert_eq!(problem(&token, &keys), Problem::Algorithm, "{claimed}");
    }
    for header in [
        json!({"kid": "ed"}),
        json!({"alg": 1, "kid": "ed"}),
        json!({"alg": "PS256", "kid": "rsa"}),
    ] {
        let token = ed.signed(&header.to_string(), &text);
        assert_eq!(problem(&token, &keys), Problem::Algorithm, "{header}");
    }
}

#[test]
fn a_signature_of_another_key_never_fits() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (ours, theirs) = (Issuer::new("k", algorithm), Issuer::new("k", algorithm));
        let keys = set(&[&ours]);
        let token = theirs.token(&claims());
        assert_eq!(problem(&token, &keys), Problem::Signature);
        // The claims of one token under the signature of another.
        let good = ours.token(&claims());
        let signature = good.rsplit('.').next().expect("a signature");
        let header = json!({"alg": format!("{algorithm:?}"), "kid": "k"}).to_string();
        let changed = claims_with("sub", json!("eve")).to_string();
        let spliced = format!("{}.{signature}", message(&header, &changed));
        assert_eq!(problem(&spliced, &keys), Problem::Signature);
        // The claims of a bad signature are not looked at.
        let expired = theirs.token(&claims_with("exp", json!(1)));
        assert_eq!(problem(&expired, &keys), Problem::Signature);
        let unknown = Issuer::new("other", algorithm).token(&claims());
        assert!(matches!(judged(&unknown, &keys), Judged::UnknownKey));
    }
}

#[test]
fn every_claim_is_needed_and_must_be_right() {
    let issuer = Issuer::new("k", Algorithm::EdDSA);
    let keys = set(&[&issuer]);
    let long = "x".repeat(256);
    for (name, value, expected) in [
        ("iss", json!(null), Problem::Claims),
        ("iss", json!("https://issuer.example/"), Problem::Issuer),
        ("iss", json!([ISSUER]), Problem::Issuer),
        ("aud", json!(null), Problem::Claims),
        ("aud", json!("other"), Problem::Audience),
        ("aud", json!(["other", "clientele2"]), Problem::Audience),
        ("aud", json!({"clientele": true}), Problem::Audience),
        ("sub", json!(null), Problem::Claims),
        ("sub", json!(""), Problem::Claims),
        ("sub", json!(7), Problem::Claims),
        ("sub", json!("a\u{0}b"), Problem::Claims),
        ("sub", json!("ädä"), Problem::Claims),
        ("sub", json!(long), Problem::Claims),
        ("exp", json!(null), Problem::Claims),
        ("exp", json!("2099-01-01"), Problem::Claims),
        ("exp", json!(1e300), Problem::Claims),
        ("exp", json!(-1), Problem::Claims),
        ("nbf", json!(null), Problem::Claims),
        ("nbf", json!("now"), Problem::Claims),
    ] {
        let token = issuer.token(&claims_with(name, value.clone()));
        assert_eq!(problem(&token, &keys), expected, "{name} {value}");
    }
    for (name, value) in [
        ("aud", json!(["other", AUDIENCE])),
        ("exp", json!(1_800_000_000.5)),
        ("sub", json!("x".repeat(255))),
    ] {
        let token = issuer.token(&claims_with(name, value));
        assert_eq!(fault(&token, &keys), None, "{name}");
    }
}

#[test]
fn a_token_without_a_beginning_is_taken_only_where_that_was_allowed() {
    let issuer = Issuer::new("k", Algorithm::EdDSA);
    let keys = set(&[&issuer]);
    let expected = Expected {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        nbf_may_be_missing: true,
    };
    let allowed = |nbf| {
        let token = issuer.token(&claims_with("nbf", nbf));
        judge(&token, &keys, &expected, Micros(NOW * 1_000_000))
    };
    assert!(matches!(allowed(json!(null)), Judged::Good(_)));
    assert!(matches!(
        allowed(json!(NOW + 31)),
        Judged::Bad(Fault::Early)
    ));
    assert!(matches!(allowed(json!("now")), Judged::Bad(_)));
    let refused = fault(&issuer.token(&claims_with("nbf", json!(null))), &keys);
    let Some(Fault::Invalid(Problem::Claims, said)) = refused else {
        panic!("{refused:?}");
    };
    assert!(said.contains("--allow-missing-nbf"), "{said}");
}

#[test]
fn clocks_may_differ_by_the_leeway_and_no_more() {
    let issuer = Issuer::new("k", Algorithm::EdDSA);
    let keys = set(&[&issuer]);
    let with = |name, at| fault(&issuer.token(&claims_with(name, json!(at))), &keys);
    assert_eq!(with("exp", NOW - 29), None);
    let expired = Fault::Expired(Micros((NOW - 30) * 1_000_000));
    assert_eq!(with("exp", NOW - 30), Some(expired));
    assert_eq!(with("nbf", NOW + 30), None);
    assert_eq!(with("nbf", NOW + 31), Some(Fault::Early));
}

#[test]
fn what_stands_twice_is_refused() {
    let issuer = Issuer::new("k", Algorithm::EdDSA);
    let keys = set(&[&issuer]);
    let header = json!({"alg": "EdDSA", "kid": "k"}).to_string();
    let twice = claims().to_string().replacen('{', "{\"sub\":\"eve\",", 1);
    assert_eq!(
        problem(&issuer.signed(&header, &twice), &keys),
        Problem::Claims
    );
    let header = "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"alg\":\"EdDSA\"}";
    let token = issuer.signed(header, &claims().to_string());
    assert_eq!(problem(&token, &keys), Problem::Format);
}

#[test]
fn garbage_is_refused_before_anything_is_computed() {
    let issuer = Issuer::new("k", Algorithm::EdDSA);
    let keys = set(&[&issuer]);
    let good = issuer.token(&claims());
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = signed.split_once('.').expect("two parts");
    let critical = json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false}).to_string();
    let numeric = json!({"alg": "EdDSA", "kid": 1}).to_string();
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "x".to_owned(),
        "x.y.z".to_owned(),
        header.to_owned(),
        signed.to_owned(),
        format!("{good}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
        issuer.signed(&critical, &claims().to_string()),
        issuer.signed(&numeric, &claims().to_string()),
    ] {
        assert_eq!(problem(&token, &keys), Problem::Format, "{token}");
    }
    // The key id is looked up, never a path or a statement.
    for id in [
        "../../etc/passwd",
        "' OR 1=1 --",
        "https://evil.example/jwks",
        "",
    ] {
        let header =
            json!({"alg": "EdDSA", "kid": id, "jku": "https://evil.example", "jwk": issuer.jwk()});
        let token = issuer.signed(&header.to_string(), &claims().to_string());
        assert!(matches!(judged(&token, &keys), Judged::UnknownKey), "{id}");
    }
    for damaged in [
        format!("{signed}."),
        format!("{signed}.{}", &signature[..signature.len() - 2]),
        format!("{signed}.{signature}AA"),
    ] {
        assert_eq!(problem(&damaged, &keys), Problem::Signature, "{damaged}");
    }
    let long = issuer.token(&claims_with("fill", json!("x".repeat(TOKEN_BYTES_MAX))));
    assert_eq!(problem(&long, &keys), Problem::Format);
    let not_an_object = issuer.signed(&json!({"alg": "EdDSA", "kid": "k"}).to_string(), "[1]");
    assert_eq!(problem(&not_an_object, &keys), Problem::Claims);
}
