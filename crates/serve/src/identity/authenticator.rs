//! From the headers of a call to an identity.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderValue, header};
use types::{Clock, Micros};

use super::fault::{Fault, Problem};
use super::fetch::KeySource;
use super::keys::KeySet;
use super::mapping::{Access, Compiled, Mapping, MappingError};
use super::refresh::{Crowded, Keys, KeysError, Pace};
use super::secret::ProcessSecret;
use super::token::{self, Expected, Judged, Verified};
use crate::caller::{peer_in, service_named};

/// Tokens that are remembered as good, so that their signatures are checked once.
const REMEMBERED_MAX: usize = 4096;

/// Whose tokens a server takes, and what they mean.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the issuer's keys are.
    pub keys: KeySource,
    /// The `iss` that tokens must have.
    pub issuer: String,
    /// The `aud` that tokens must have, or have among others.
    pub audience: String,
    /// Whether tokens are taken that do not say when they begin (`nbf`), as some issuers make them.
    pub nbf_may_be_missing: bool,
    /// From claims to workspaces and permissions.
    pub mapping: Mapping,
    /// The secret by which the services of this process know each other, where there are several.
    pub process: Option<ProcessSecret>,
}

/// Why there can be no authenticator.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorError {
    /// The keys can't be read.
    #[error("the issuer's keys can't be read from {source_name}: {error}")]
    Keys {
        /// Where they should be.
        source_name: String,
        /// Why they can't be read.
        error: KeysError,
    },
    /// The mapping can't be meant.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The issuer can't be told from a subject in a principal.
    #[error("an issuer has at least one character and no `#`")]
    Issuer,
    /// There is no audience.
    #[error("an audience has at least one character")]
    Audience,
}

/// Who makes a call, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Somebody outside of the suite, a person or a program.
    User(Arc<User>),
    /// A service of the suite: `contacts`, `pipeline` or `billing`.
    ///
    /// It is proven by a token, by the secret of its process, or by the client certificate of its
    /// connection (`tls/services.rs`).
    Service(&'static str),
}

/// Somebody outside of the suite.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// The issuer and the subject as `issuer#subject`: what stands in idempotency keys and audit
    /// fields.
    pub principal: String,
    pub(crate) access: Access,
}

/// An identity, and until when it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    pub identity: Identity,
    /// The `exp` of its token; `None` where it is not proven by one.
    pub expires: Option<Micros>,
}

/// Proves identities. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    expected: Expected,
    mapping: Compiled,
    process: Option<ProcessSecret>,
    clock: Clock,
    remembered: RwLock<HashMap<[u8; 32], Remembered>>,
}

/// A token that was good under one set of keys.
#[derive(Debug)]
struct Remembered {
    identity: Identity,
    expires: Micros,
    keys: u64,
}

impl Authenticator {
    /// Reads the keys and keeps them up to date. Fails where a file can't be read; a server may come
    /// later. Must be called within a tokio runtime.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, AuthenticatorError> {
        let pace = Pace::of(&settings.keys);
        Self::start_at(pace, settings, clock).await
    }

    pub(crate) async fn start_at(
        pace: Pace,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, AuthenticatorError> {
        if settings.issuer.is_empty() || settings.issuer.contains('#') {
            return Err(AuthenticatorError::Issuer);
        }
        if settings.audience.is_empty() {
            return Err(AuthenticatorError::Audience);
        }
        let mapping = Compiled::new(settings.mapping)?;
        let source_name = settings.keys.to_string();
        let keys = Keys::start(settings.keys, pace)
            .await
            .map_err(|error| AuthenticatorError::Keys { source_name, error })?;
        Ok(Self(Arc::new(Inner {
            keys,
            expected: Expected {
                issuer: settings.issuer,
                audience: settings.audience,
                nbf_may_be_missing: settings.nbf_may_be_missing,
            },
            mapping,
            process: settings.process,
            clock,
            remembered: RwLock::default(),
        })))
    }

    /// Waits until there are keys to judge tokens by.
    pub(crate) async fn ready(&self) {
        self.0.keys.ready().await;
    }

    /// Who makes a call with these headers. `Err(None)` if the token names a key that is not known:
    /// [`Authenticator::identify_late`] may know it.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Proven, Option<Fault>> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let header = given.next().ok_or(Fault::Missing)?;
        if given.next().is_some() {
            let message = "there must be one `authorization`, not several";
            return Err(Some(Fault::Invalid(Problem::Format, message)));
        }
        if ProcessSecret::is_meant(header) {
            return self.0.within_process(header, headers).map_err(Some);
        }
        self.0.of_token(bearer(header)?)
    }

    /// The same, after the keys were read anew. Nothing is proven while that is waited for, so only a few
    /// calls may.
    pub(crate) async fn identify_late(&self, headers: &HeaderMap) -> Result<Proven, Fault> {
        let read = self.0.keys.read_again().await;
        read.map_err(|Crowded| Fault::NoKeys)?;
        self.identify(headers).map_err(|fault| {
            let message = "the token's key is not one of the issuer's";
            fault.unwrap_or(Fault::Invalid(Problem::Key, message))
        })
    }

    /// How long a token that expires then is still good.
    pub(crate) fn time_left(&self, expires: Micros) -> Duration {
        let left = token::over_at(expires).0 - self.0.clock.now().0;
        Duration::from_micros(u64::try_from(left).unwrap_or_default())
    }
}

/// The token in `Bearer TOKEN`; the scheme is written in any case (RFC 9110).
fn bearer(header: &HeaderValue) -> Result<&str, Fault> {
    let message = "`authorization` must be `Bearer TOKEN`";
    let malformed = Fault::Invalid(Problem::Format, message);
    let text = header.to_str().map_err(|_| malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token)
    } else {
        Err(malformed)
    }
}

impl Inner {
    fn within_process(&self, header: &HeaderValue, headers: &HeaderMap) -> Result<Proven, Fault> {
        let fits = self.process.as_ref().is_some_and(|own| own.fits(header));
        let named = peer_in(headers).filter(|_| fits);
        let message = "this is not a call from within this process";
        let service = named.ok_or(Fault::Invalid(Problem::Signature, message))?;
        Ok(Proven {
            identity: Identity::Service(service),
            expires: None,
        })
    }

    fn of_token(&self, token: &str) -> Result<Proven, Option<Fault>> {
        let (number, keys) = self.keys.current().ok_or(Fault::NoKeys)?;
        let digest = digest_of(token);
        let now = self.clock.now();
        if let Some(proven) = self.remembered(&digest, number, now) {
            return Ok(proven);
        }
        let verified = self.judge(token, &keys, now)?;
        let identity = self.identity(&verified)?;
        let remembered = Remembered {
            identity: identity.clone(),
            expires: verified.expires,
            keys: number,
        };
        self.remember(digest, remembered, now);
        Ok(Proven {
            identity,
            expires: Some(verified.expires),
        })
    }

    fn judge(&self, token: &str, keys: &KeySet, now: Micros) -> Result<Verified, Option<Fault>> {
        match token::judge(token, keys, &self.expected, now) {
            Judged::Good(verified) => Ok(verified),
            Judged::Bad(fault) => Err(Some(fault)),
            Judged::UnknownKey => Err(None),
        }
    }

    fn identity(&self, verified: &Verified) -> Result<Identity, Fault> {
        if let Some(named) = self.mapping.service(&verified.claims) {
            let message = "the token names a service that is not of this suite";
            return named
                .as_str()
                .and_then(service_named)
                .map(Identity::Service)
                .ok_or(Fault::Invalid(Problem::Claims, message));
        }
        Ok(Identity::User(Arc::new(User {
            principal: format!("{}#{}", self.expected.issuer, verified.subject),
            access: self.mapping.access(&verified.claims),
        })))
    }

    /// The identity of a token that was good under these keys, unless its time is over.
    fn remembered(&self, digest: &[u8; 32], keys: u64, now: Micros) -> Option<Proven> {
        let remembered = self.remembered.read();
        let remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        let found = remembered.get(digest)?;
        let good = found.keys == keys && !token::is_over(found.expires, now);
        good.then(|| Proven {
            identity: found.identity.clone(),
            expires: Some(found.expires),
        })
    }

    fn remember(&self, digest: [u8; 32], token: Remembered, now: Micros) {
        let remembered = self.remembered.write();
        let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            let keys = token.keys;
            remembered.retain(|_, old| old.keys == keys && !token::is_over(old.expires, now));
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
        }
        remembered.insert(digest, token);
    }
}

fn digest_of(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
pub(super) mod tests;
