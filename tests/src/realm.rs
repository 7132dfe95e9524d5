//! An issuer of tokens that a suite trusts, and all the ways of not being it.

use std::path::PathBuf;

use serde_json::{Value, json};
use serve::testing::{AUDIENCE, ISSUER, Issuer, key_set, message};
use tempfile::TempDir;

/// An issuer, with the files that a suite needs to trust it.
pub struct Realm {
    folder: TempDir,
    issuer: Issuer,
    stranger: Issuer,
    keys: String,
}

impl Realm {
    /// A new issuer with a key of its own, a role `nothing` without permissions, and a
    /// role `closer` with a permission that only policies ask for, `deals.close`.
    ///
    /// # Panics
    ///
    /// Panics when its files can't be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let realm = Self {
            keys: folder.path().join("jwks.json").display().to_string(),
            folder,
            issuer: Issuer::new("ours", jsonwebtoken::Algorithm::EdDSA),
            stranger: Issuer::new("ours", jsonwebtoken::Algorithm::EdDSA),
        };
        realm.write("jwks.json", &key_set(&[&realm.issuer]));
        realm.write(
            "claims.yaml",
            "roles:\n  nothing: []\n  closer: [deals.close]\n",
        );
        for service in ["contacts", "pipeline", "billing"] {
            let mut claims = claims(service, &json!({}));
            claims["clientele_service"] = json!(service);
            realm.write(&format!("{service}.token"), &realm.token(&claims));
        }
        realm
    }

    /// The same issuer, whose keys a suite gets at this address.
    #[must_use]
    pub fn at(self, address: &str) -> Self {
        Self {
            keys: address.to_owned(),
            ..self
        }
    }

    /// Its key set.
    pub fn key_set(&self) -> String {
        key_set(&[&self.issuer])
    }

    /// What makes one process of all services trust it.
    pub fn arguments(&self) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let arguments = [
            ["--jwks", &self.keys],
            ["--issuer", ISSUER],
            ["--audience", AUDIENCE],
            ["--claims-file", &path("claims.yaml")],
        ];
        arguments.concat().into_iter().map(str::to_owned).collect()
    }

    /// What makes the process of one service trust it and be trusted.
    pub fn arguments_of(&self, service: &str) -> Vec<String> {
        let mut arguments = self.arguments();
        let file = self.path(&format!("{service}.token"));
        arguments.extend([
            "--service-token-file".to_owned(),
            file.display().to_string(),
        ]);
        arguments
    }

    /// A good token of these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.issuer.token(claims)
    }

    /// A good token of somebody with these roles, such as `{"acme": ["sales"]}`.
    pub fn token_of(&self, subject: &str, workspaces: &Value) -> String {
        self.token(&claims(subject, workspaces))
    }

    /// A good token of a service of the suite.
    pub fn token_of_service(&self, service: &str) -> String {
        let mut claims = claims(service, &json!({}));
        claims["clientele_service"] = json!(service);
        self.token(&claims)
    }

    /// Tokens that no server may take, by what is wrong with them: the reason and, of TOKEN_INVALID,
    /// the problem that must be told.
    pub fn bad_tokens(&self, workspaces: &Value) -> Vec<(String, &'static str, &'static str)> {
        let good = claims("eve", workspaces);
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            self.token(&claims)
        };
        let header = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id}).to_string();
        let text = good.to_string();
        let secret = jsonwebtoken::EncodingKey::from_secret(&self.issuer.public);
        let confused = message(&header("HS256", "ours"), &text);
        let signature = jsonwebtoken::crypto::sign(
            confused.as_bytes(),
            &secret,
            jsonwebtoken::Algorithm::HS256,
        );
        let confused = format!("{confused}.{}", signature.expect("a signature"));
        let unsigned = format!("{}.", message(&header("none", "ours"), &text));
        vec![
            (with("exp", json!(now() - 3600)), "TOKEN_EXPIRED", ""),
            (with("nbf", json!(now() + 3600)), "TOKEN_EXPIRED", ""),
            (with("aud", json!("another")), "TOKEN_INVALID", "audience"),
            (
                with("iss", json!("https://evil.example")),
                "TOKEN_INVALID",
                "issuer",
            ),
            (with("sub", json!("")), "TOKEN_INVALID", "claims"),
            (unsigned, "TOKEN_INVALID", "algorithm"),
            (confused, "TOKEN_INVALID", "algorithm"),
            (self.stranger.token(&good), "TOKEN_INVALID", "signature"),
            (
                self.issuer.signed(&header("EdDSA", "theirs"), &text),
                "TOKEN_INVALID",
                "key",
            ),
            ("garbage".to_owned(), "TOKEN_INVALID", "format"),
        ]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file of the realm");
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self::new()
    }
}

/// The claims of somebody with these roles, for an hour.
pub fn claims(subject: &str, workspaces: &Value) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now() + 3600, "nbf": now() - 60,
        "workspaces": workspaces,
    })
}

/// The present second.
fn now() -> i64 {
    types::Clock::system().now().0.div_euclid(1_000_000)
}
