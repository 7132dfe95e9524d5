//! Issuers for tests: a key of each kind, the set that tells of it, and tokens of any sort; and
//! authorities with certificates of any sort; and the frames of HTTP/2.
//!
//! Invariant: only tests use it; nothing of it is in the binary.

pub mod authority;
pub mod frames;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// The `iss` of tokens of tests.
pub const ISSUER: &str = "https://issuer.example";
/// Their `aud`.
pub const AUDIENCE: &str = "clientele";
/// The instant at which the tokens of tests are judged, in seconds.
pub const NOW: i64 = 1_800_000_000;

/// A private key, with its name.
pub struct Issuer {
    /// Its `kid`.
    pub id: String,
    /// What it signs with: RS256, ES256 or EdDSA.
    pub algorithm: Algorithm,
    key: EncodingKey,
    /// The raw public key: what somebody who confuses algorithms would sign with.
    pub public: Vec<u8>,
}

impl Issuer {
    /// A new key of this name.
    pub fn new(id: &str, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let (key, public) = match algorithm {
            Algorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
                let der: aws_lc_rs::encoding::Pkcs8V1Der = pair.as_der().expect("a key");
                // The library wants the RSAPrivateKey inside of PKCS #8: behind 26 bytes of header.
                let key = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
                (key, pair.public_key().as_ref().to_vec())
            }
            Algorithm::ES256 => {
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).expect("a key");
                let key = EncodingKey::from_ec_der(document.as_ref());
                (key, pair.public_key().as_ref().to_vec())
            }
            _ => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
                let key = EncodingKey::from_ed_der(document.as_ref());
                (key, pair.public_key().as_ref().to_vec())
            }
        };
        Self {
            id: id.to_owned(),
            algorithm,
            key,
            public,
        }
    }

    /// The public key as a key set lists it.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self.algorithm {
            Algorithm::ES256 => {
                // The point begins with a byte that says that both coordinates follow.
                let (x, y) = self.public[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Algorithm::EdDSA => json!({"kty": "OKP", "crv": "Ed25519", "x": text(&self.public)}),
            _ => {
                let jwk = Jwk::from_encoding_key(&self.key, self.algorithm);
                serde_json::to_value(jwk.expect("a public key")).expect("JSON")
            }
        };
        jwk["kid"] = self.id.as_str().into();
        jwk
    }

    /// A token of these claims.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "kid": self.id, "typ": "JWT"});
        self.signed(&header.to_string(), &claims.to_string())
    }

    /// A token of this very header and these very claims, signed with this key.
    pub fn signed(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        format!("{message}.{}", signature.expect("a signature"))
    }
}

/// The part of a token that is signed.
pub fn message(header: &str, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", part(header), part(claims))
}

/// A key set of these issuers.
pub fn key_set(issuers: &[&Issuer]) -> String {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// The claims of a good token.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 60, "nbf": NOW - 60,
        "workspaces": {"acme": ["sales"]},
    })
}

/// The claims of a good token, one of them changed; `null` takes it away.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().expect("an object").remove(name);
    } else {
        claims[name] = value;
    }
    claims
}
