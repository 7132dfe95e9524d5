//! Tokens for development: signed with a key that lives in a folder of this machine.
//!
//! The key proves nothing to anybody but a server that was told to trust this folder's key set.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use types::Micros;

/// The files of the folder.
const KEY_FILE: &str = "signing-key.pem";
const KEY_SET_FILE: &str = "jwks.json";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentKeyError {
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The key's file has no Ed25519 key.
    #[error("{path}: it is not an Ed25519 key in PEM (PKCS #8)")]
    Key {
        /// The file.
        path: String,
    },
    /// The key could not be made or used.
    #[error("the key can't be made or used here")]
    Crypto,
}

/// Whom a token of development is for.
#[derive(Clone, Debug)]
pub struct DevelopmentToken {
    /// Its `iss`.
    pub issuer: String,
    /// Its `aud`.
    pub audience: String,
    /// Its `sub`.
    pub subject: String,
    /// What it lets its holder do.
    pub grants: DevelopmentGrants,
    /// From when on it is valid.
    pub now: Micros,
    /// For how long.
    pub lifetime: Duration,
}

/// What a token of development lets its holder do, in the default claims of [`super::Mapping`].
#[derive(Clone, Debug)]
pub enum DevelopmentGrants {
    /// Roles in a workspace; `*` is every one.
    Workspace {
        /// The workspace.
        workspace: String,
        /// The roles.
        roles: Vec<String>,
    },
    /// What a service of the suite may.
    Service(String),
}

/// A key for development.
pub struct DevelopmentKey {
    id: String,
    key: EncodingKey,
    key_set: PathBuf,
}

impl DevelopmentKey {
    /// The key of this folder, made with its key set where there is none yet. Only the folder's owner
    /// can read the key.
    pub fn open_or_create(folder: &Path) -> Result<Self, DevelopmentKeyError> {
        let path = folder.join(KEY_FILE);
        if !path.exists() {
            create(folder, &path)?;
        }
        let text = fs::read(&path).map_err(|error| file(&path, error))?;
        let wrong = || DevelopmentKeyError::Key {
            path: path.display().to_string(),
        };
        let document = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| wrong())?;
        let der = document.secret_pkcs8_der();
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| wrong())?;
        let public = pair.public_key().as_ref();
        let digest = digest::digest(&digest::SHA256, public);
        let id = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..12]);
        let key_set = folder.join(KEY_SET_FILE);
        let keys = json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id,
            "x": URL_SAFE_NO_PAD.encode(public),
        }]});
        let text = format!("{keys:#}\n");
        if fs::read_to_string(&key_set).ok().as_deref() != Some(&text) {
            fs::write(&key_set, text).map_err(|error| file(&key_set, error))?;
        }
        Ok(Self {
            id,
            key: EncodingKey::from_ed_der(der),
            key_set,
        })
    }

    /// Where the key set is that a server must be told to trust.
    pub fn key_set(&self) -> &Path {
        &self.key_set
    }

    /// A signed token.
    pub fn sign(&self, token: &DevelopmentToken) -> Result<String, DevelopmentKeyError> {
        let header = json!({"alg": "EdDSA", "kid": self.id, "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims(token)));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::EdDSA);
        let signature = signature.map_err(|_| DevelopmentKeyError::Crypto)?;
        Ok(format!("{message}.{signature}"))
    }
}

fn claims(token: &DevelopmentToken) -> Value {
    let begins = token.now.0.div_euclid(1_000_000);
    let lifetime = i64::try_from(token.lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut claims = json!({
        "iss": token.issuer, "aud": token.audience, "sub": token.subject,
        "iat": begins, "nbf": begins, "exp": begins.saturating_add(lifetime),
    });
    match &token.grants {
        DevelopmentGrants::Workspace { workspace, roles } => {
            claims["workspaces"] = json!({ workspace.as_str(): roles });
        }
        DevelopmentGrants::Service(name) => claims["clientele_service"] = json!(name),
    }
    claims
}

/// Makes a key, which is there as a whole or not at all: of two who make one at once the first wins.
fn create(folder: &Path, path: &Path) -> Result<(), DevelopmentKeyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .map_err(|error| file(folder, error))?;
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| DevelopmentKeyError::Crypto)?;
    let text = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(document.as_ref())
    );
    let draft = folder.join(format!("{KEY_FILE}.{:x}", rand::random::<u64>()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| file(&draft, error))?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&draft).map_err(|error| file(&draft, error))?;
    linked.map_err(|error| file(path, error))
}

fn file(path: &Path, error: std::io::Error) -> DevelopmentKeyError {
    DevelopmentKeyError::File {
        path: path.display().to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::identity::keys::KeySet;
    use crate::identity::token::{Expected, Judged, judge};

    fn token(grants: DevelopmentGrants) -> DevelopmentToken {
        DevelopmentToken {
            issuer: "clientele-dev".to_owned(),
            audience: "clientele".to_owned(),
            subject: "dev".to_owned(),
            grants,
            now: Micros(1_800_000_000_000_000),
            lifetime: Duration::from_hours(1),
        }
    }

    #[test]
    fn a_key_is_made_once_and_its_tokens_are_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("data").join("keys");
        let first = DevelopmentKey::open_or_create(&folder).expect("a key");
        let second = DevelopmentKey::open_or_create(&folder).expect("the same key");
        assert_eq!(first.id, second.id);
        let mode = fs::metadata(folder.join(KEY_FILE))
            .expect("the key")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "nobody else reads it");
        let keys = KeySet::parse(&fs::read(first.key_set()).expect("a key set"));
        let expected = Expected {
            issuer: "clientele-dev".to_owned(),
            audience: "clientele".to_owned(),
            nbf_may_be_missing: false,
        };
        for (grants, claim) in [
            (
                DevelopmentGrants::Service("billing".to_owned()),
                "clientele_service",
            ),
            (
                DevelopmentGrants::Workspace {
                    workspace: "acme".to_owned(),
                    roles: vec!["admin".to_owned()],
                },
                "workspaces",
            ),
        ] {
            let token = token(grants);
            let signed = second.sign(&token).expect("a token");
            match judge(&signed, keys.as_ref().expect("a set"), &expected, token.now) {
                Judged::Good(verified) => assert!(verified.claims.get(claim).is_some()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(KEY_FILE), "no key").expect("written");
        let error = DevelopmentKey::open_or_create(folder.path())
            .err()
            .expect("refused");
        assert!(error.to_string().contains(KEY_FILE), "{error}");
    }
}
