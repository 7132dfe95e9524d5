//! The issuer's public keys, as a JSON Web Key Set tells them (RFC 7517).
//!
//! A key verifies exactly one algorithm, which follows from its kind. What the token says about its
//! algorithm only picks the key: a token can't make an RSA key into an HMAC secret.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// The longest key set that is read.
pub(crate) const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// Keys that are taken out of one set.
const KEYS_MAX: usize = 100;

/// The modulus of an RSA key has at least so many bits.
const RSA_BITS_MIN: usize = 2048;

/// Why a key set can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON, or without the member `keys`.
    #[error("it is not a JSON Web Key Set")]
    Format,
    /// None of its keys is for RS256, ES256 or EdDSA.
    #[error("it has no key for RS256, ES256 or EdDSA")]
    Empty,
    /// Longer than is read.
    #[error("it has more than {KEY_SET_BYTES_MAX} bytes")]
    TooLong,
}

/// A public key and the one algorithm that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    id: Option<String>,
    pub algorithm: Algorithm,
    pub public: DecodingKey,
}

/// The keys of an issuer.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<Key>);

/// What a key set knows about the key of a token.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// This is it.
    Key(&'a Key),
    /// There is a key of that id, for another algorithm.
    OtherAlgorithm,
    /// There is no key of that id; a newer set may have it.
    Unknown,
}

impl KeySet {
    /// Reads the keys that can be used and leaves out all others.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLong);
        }
        let set: Value = serde_json::from_slice(text).map_err(|_| KeySetError::Format)?;
        let listed = set.get("keys").and_then(Value::as_array);
        let keys: Vec<Key> = listed
            .ok_or(KeySetError::Format)?
            .iter()
            .filter_map(Key::read)
            .take(KEYS_MAX)
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self(keys))
    }

    /// The key of a token with this `kid` and `alg`. A token without `kid` has one only where there is
    /// no choice.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let mut named = self
            .0
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id);
        let Some(first) = named.clone().next() else {
            return Found::Unknown;
        };
        if id.is_none() && self.0.len() > 1 {
            return Found::Unknown;
        }
        if first.algorithm == algorithm {
            return Found::Key(first);
        }
        named
            .find(|key| key.algorithm == algorithm)
            .map_or(Found::OtherAlgorithm, Found::Key)
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    /// The key, if it is a public one for signatures of an algorithm that is accepted.
    fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let (algorithm, declared) = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) if long_enough(&rsa.n) => {
                (Algorithm::RS256, KeyAlgorithm::RS256)
            }
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        // `alg` is read as text too: a name that the library does not know is another algorithm.
        let fits = value.get("alg").is_none() || common.key_algorithm == Some(declared);
        if !(signs && verifies && fits) {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            public: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

/// Whether a base64url modulus has enough bits: shorter ones have been factored.
fn long_enough(modulus: &str) -> bool {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(modulus);
    decoded.is_ok_and(|bytes| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        (bytes.len() - zeros) * 8 >= RSA_BITS_MIN
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(keys: &Value) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn ed25519(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id,
               "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn with(mut key: Value, name: &str, value: &str) -> Value {
        key[name] = value.into();
        key
    }

    #[test]
    fn only_public_keys_for_signatures_of_the_three_algorithms_are_taken() {
        let short =
            json!({"kty": "RSA", "kid": "short", "e": "AQAB", "n": "u1SU1LfVLPHCozMxH2Mo4l"});
        let secret = json!({"kty": "oct", "kid": "hmac", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"});
        let mut signing_only = ed25519("sign");
        signing_only["key_ops"] = json!(["sign"]);
        for unusable in [
            short,
            secret,
            with(ed25519("encrypts"), "use", "enc"),
            with(ed25519("other"), "alg", "ES256"),
            with(ed25519("unheard-of"), "alg", "XX999"),
            with(ed25519("curve"), "crv", "Ed448"),
            signing_only,
            json!("no key"),
            json!({}),
        ] {
            assert_eq!(
                set(&json!([unusable])).expect_err("unusable"),
                KeySetError::Empty,
                "{unusable}"
            );
            let beside = set(&json!([unusable, ed25519("good")])).expect("one is good");
            assert_eq!(beside.len(), 1);
        }
        let fitting = with(with(ed25519("a"), "use", "sig"), "alg", "EdDSA");
        assert_eq!(set(&json!([fitting])).expect("fits").len(), 1);
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for text in [&b""[..], b"{}", b"[]", b"<html>", br#"{"keys":{}}"#] {
            assert_eq!(
                KeySet::parse(text).expect_err("no set"),
                KeySetError::Format
            );
        }
        let long = vec![b' '; KEY_SET_BYTES_MAX + 1];
        assert_eq!(
            KeySet::parse(&long).expect_err("long"),
            KeySetError::TooLong
        );
    }

    #[test]
    fn a_key_is_found_by_its_id_and_only_for_its_algorithm() {
        let two = set(&json!([ed25519("a"), ed25519("b")])).expect("two keys");
        assert!(matches!(
            two.find(Some("b"), Algorithm::EdDSA),
            Found::Key(_)
        ));
        assert!(matches!(
            two.find(Some("b"), Algorithm::RS256),
            Found::OtherAlgorithm
        ));
        assert!(matches!(
            two.find(Some("c"), Algorithm::EdDSA),
            Found::Unknown
        ));
        assert!(matches!(two.find(None, Algorithm::EdDSA), Found::Unknown));
        let one = set(&json!([ed25519("a")])).expect("one key");
        assert!(matches!(one.find(None, Algorithm::EdDSA), Found::Key(_)));
    }
}
