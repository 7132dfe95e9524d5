//! One JSON Web Token: what it says, once its signature has been checked (RFC 7519, RFC 8725).
//!
//! Invariant: nothing that a token says of its claims is looked at, or answered to, before its
//! signature fits a key of the issuer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::Value;
use types::Micros;

use super::fault::{Fault, Problem};
use super::json::Members;
use super::keys::{Found, KeySet};

/// The longest token that is read. Headers of a call have 16 KiB at most.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// By how much the clocks of issuer and server may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// The longest `sub`, as OpenID Connect limits it.
const SUBJECT_CHARS_MAX: usize = 255;

/// Instants beyond this are not meant: the year 9999.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// A token whose signature has been checked.
#[derive(Debug)]
pub(crate) struct Verified {
    pub claims: Members,
    pub subject: String,
    pub expires: Micros,
}

/// Whom tokens must come from and be meant for.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub issuer: String,
    pub audience: String,
    /// Whether tokens need not say when they begin.
    pub nbf_may_be_missing: bool,
}

/// What became of looking at a token.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It is good.
    Good(Verified),
    /// It is not.
    Bad(Fault),
    /// It names a key that is not in the set; a newer set may have it.
    UnknownKey,
}

/// When a token that expires then is over here.
pub(crate) fn over_at(expires: Micros) -> Micros {
    expires.plus(LEEWAY)
}

/// Whether a token that expires then is over.
pub(crate) fn is_over(expires: Micros, now: Micros) -> bool {
    now >= over_at(expires)
}

/// Judges a token at the instant `now`.
pub(crate) fn judge(token: &str, keys: &KeySet, expected: &Expected, now: Micros) -> Judged {
    let header = match Header::read(token) {
        Ok(header) => header,
        Err(fault) => return Judged::Bad(fault),
    };
    let key = match keys.find(header.key_id.as_deref(), header.algorithm) {
        Found::Key(key) => key,
        Found::Unknown => return Judged::UnknownKey,
        Found::OtherAlgorithm => {
            let message = "the token's algorithm is not that of its key";
            return Judged::Bad(Fault::Invalid(Problem::Algorithm, message));
        }
    };
    let fits = jsonwebtoken::crypto::verify(
        header.signature,
        header.signed.as_bytes(),
        &key.public,
        key.algorithm,
    );
    if !matches!(fits, Ok(true)) {
        let message = "the token's signature does not fit the issuer's key";
        return Judged::Bad(Fault::Invalid(Problem::Signature, message));
    }
    match verified(header.payload, expected, now) {
        Ok(verified) => Judged::Good(verified),
        Err(fault) => Judged::Bad(fault),
    }
}

/// The parts of a token, and what its header says.
struct Header<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Header<'a> {
    fn read(token: &'a str) -> Result<Self, Fault> {
        let malformed = Fault::Invalid(
            Problem::Format,
            "the token is not a signed JSON Web Token in its compact form",
        );
        if token.len() > TOKEN_BYTES_MAX {
            let message = "the token is longer than 8192 bytes";
            return Err(Fault::Invalid(Problem::Format, message));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(malformed)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(malformed);
        }
        let members = members(header).ok_or(malformed)?;
        // What is critical must be understood, and no extension is.
        if members.get("crit").is_some() {
            let message = "the token's header asks for an extension that is not known here";
            return Err(Fault::Invalid(Problem::Format, message));
        }
        let algorithm = match members.get("alg").and_then(Value::as_str) {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => {
                let message = "the token's algorithm must be RS256, ES256 or EdDSA";
                return Err(Fault::Invalid(Problem::Algorithm, message));
            }
        };
        let key_id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(malformed),
        };
        Ok(Self {
            algorithm,
            key_id,
            signed,
            payload,
            signature,
        })
    }
}

/// A part of a token: base64url without padding, and JSON in it that says everything once.
fn members(part: &str) -> Option<Members> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    Members::parse(&text).ok()
}

/// Checks the claims that every token must have.
fn verified(payload: &str, expected: &Expected, now: Micros) -> Result<Verified, Fault> {
    let wrong = |message| Fault::Invalid(Problem::Claims, message);
    let claims = members(payload).ok_or(wrong("the token's claims are not a JSON object"))?;
    let issuer = claims.get("iss").ok_or(wrong("the token lacks `iss`"))?;
    if issuer.as_str() != Some(&expected.issuer) {
        let message = "the token comes from another issuer than this server trusts";
        return Err(Fault::Invalid(Problem::Issuer, message));
    }
    let audience = claims.get("aud").ok_or(wrong("the token lacks `aud`"))?;
    if !is_for(audience, &expected.audience) {
        let message = "the token is for another audience than this server";
        return Err(Fault::Invalid(Problem::Audience, message));
    }
    let expires = claims.get("exp").ok_or(wrong("the token lacks `exp`"))?;
    let expires = instant(expires).ok_or(wrong("the token's `exp` is not a time"))?;
    if is_over(expires, now) {
        return Err(Fault::Expired(expires));
    }
    match claims.get("nbf") {
        Some(begins) => {
            let begins = instant(begins).ok_or(wrong("the token's `nbf` is not a time"))?;
            if now.plus(LEEWAY) < begins {
                return Err(Fault::Early);
            }
        }
        None if expected.nbf_may_be_missing => {}
        None => {
            let message = "the token lacks `nbf`; where the issuer leaves it out, start the server \
                           with --allow-missing-nbf";
            return Err(wrong(message));
        }
    }
    let subject = claims.get("sub").ok_or(wrong("the token lacks `sub`"))?;
    let subject = subject
        .as_str()
        .filter(|subject| is_subject(subject))
        .ok_or(wrong(
            "the token's `sub` must have 1 to 255 printable ASCII characters",
        ))?
        .to_owned();
    Ok(Verified {
        claims,
        subject,
        expires,
    })
}

/// Whether an `aud`, a text or a list of texts, names this audience.
fn is_for(audience: &Value, expected: &str) -> bool {
    match audience {
        Value::String(one) => one == expected,
        Value::Array(several) => several.iter().any(|one| one.as_str() == Some(expected)),
        _ => false,
    }
}

/// A `NumericDate`: seconds since the epoch, whole or not.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before, and parts of microseconds are not kept"
)]
fn instant(date: &Value) -> Option<Micros> {
    let seconds = date.as_f64()?;
    (0.0..=SECONDS_MAX)
        .contains(&seconds)
        .then_some(Micros((seconds * 1e6) as i64))
}

/// Whether a `sub` can stand in idempotency keys and audit fields.
fn is_subject(subject: &str) -> bool {
    let printable = |byte| (0x20..0x7f).contains(&byte);
    (1..=SUBJECT_CHARS_MAX).contains(&subject.len()) && subject.bytes().all(printable)
}

#[cfg(test)]
mod tests;
