//! How a service proves to its peers who it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use http::HeaderValue;

use crate::identity::{ProcessSecret, TOKEN_BYTES_MAX};

/// How often a token's file is looked at. Tokens are replaced well before they expire.
const LOOK: Duration = Duration::from_secs(5);

/// The proof that a service sends with its calls.
#[derive(Clone, Debug, Default)]
pub enum Credential {
    /// None: the peers are on loopback and ask nobody.
    #[default]
    None,
    /// A token of the issuer that the peers trust, whose claim names this service.
    Token(TokenFile),
    /// The secret of the process that both services run in.
    Process(ProcessSecret),
}

impl Credential {
    /// The `authorization` header.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Token(file) => Some(file.header()),
            Self::Process(secret) => Some(secret.header()),
        }
    }
}

/// Why a token's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It can't be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// There is no token in it.
    #[error("{path}: there is no token in it: one line of at most {TOKEN_BYTES_MAX} bytes")]
    Token {
        /// The file.
        path: String,
    },
}

/// A token in a file that something else keeps fresh, such as a sidecar. Clones share it.
#[derive(Clone)]
pub struct TokenFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    header: RwLock<HeaderValue>,
}

impl TokenFile {
    /// The token in this file, which must be there now and is read again as it changes. Must be called
    /// within a tokio runtime.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CredentialError> {
        Self::open_at(path.into(), LOOK)
    }

    fn open_at(path: PathBuf, look: Duration) -> Result<Self, CredentialError> {
        let header = RwLock::new(read(&path)?);
        let inner = Arc::new(Inner { path, header });
        tokio::spawn(keep(Arc::downgrade(&inner), look));
        Ok(Self(inner))
    }

    /// The header with the token as it was when the file was last looked at.
    fn header(&self) -> HeaderValue {
        let header = self.0.header.read();
        header.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the file again and again until nobody has the token any more, whether or not calls are made:
/// the first after a long silence must not go out with a token that is long over. A file that can't be
/// read for now, such as one that is being replaced, leaves the last token in use.
async fn keep(token: Weak<Inner>, look: Duration) {
    loop {
        tokio::time::sleep(look).await;
        let Some(inner) = token.upgrade() else {
            return;
        };
        // The file may lie on a volume that is slow: no thread that carries calls waits for it.
        let looked = tokio::task::spawn_blocking(move || {
            let header = read(&inner.path)?;
            *inner.header.write().unwrap_or_else(PoisonError::into_inner) = header;
            Ok::<_, CredentialError>(())
        });
        match looked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the service's token can't be read; the last one stays");
            }
            Err(error) => tracing::error!(%error, "the service's token was not looked at"),
        }
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFile").field(&self.0.path).finish()
    }
}

/// Reads the file's one line.
fn read(path: &PathBuf) -> Result<HeaderValue, CredentialError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| CredentialError::File {
        path: name(),
        error,
    })?;
    let token = text.trim();
    let fits = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && !token.contains(char::is_whitespace);
    let header = HeaderValue::try_from(format!("Bearer {token}"));
    let mut header = header
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| CredentialError::Token { path: name() })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until the header is this one.
    async fn comes_to_say(file: &TokenFile, header: &str) {
        let looking = async {
            while file.header() != header {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), looking).await;
        found.unwrap_or_else(|_| panic!("never: {header}"));
    }

    #[tokio::test]
    async fn a_token_is_read_again_and_survives_a_file_that_is_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        assert!(TokenFile::open(&path).is_err());
        for bad in ["", "  \n", "two words", "two\nlines"] {
            std::fs::write(&path, bad).expect("written");
            assert!(TokenFile::open(&path).is_err(), "{bad:?}");
        }
        std::fs::write(&path, "first\n").expect("written");
        let file = TokenFile::open_at(path.clone(), Duration::from_millis(1)).expect("a token");
        assert_eq!(file.header(), "Bearer first");
        std::fs::write(&path, "second").expect("written");
        comes_to_say(&file, "Bearer second").await;
        std::fs::remove_file(&path).expect("removed");
        let looked = read(&path);
        assert!(looked.is_err() && file.header() == "Bearer second");
        std::fs::write(&path, "third").expect("written");
        comes_to_say(&file, "Bearer third").await;
        assert!(!format!("{file:?} {:?}", file.header()).contains("third"));
    }

    #[tokio::test]
    async fn the_file_is_let_go_with_the_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "first").expect("written");
        let file = TokenFile::open_at(path, Duration::from_millis(1)).expect("a token");
        let inner = Arc::downgrade(&file.0);
        drop(file);
        let gone = async {
            while inner.upgrade().is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
        assert!(gone.is_ok());
    }
}
