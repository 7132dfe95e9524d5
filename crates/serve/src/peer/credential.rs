//! How a service proves to its peers who it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    look: Duration,
    last: Mutex<(Instant, HeaderValue)>,
}

impl TokenFile {
    /// The token in this file, which must be there now and is read again as it changes.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CredentialError> {
        Self::open_at(path.into(), LOOK)
    }

    fn open_at(path: PathBuf, look: Duration) -> Result<Self, CredentialError> {
        let header = read(&path)?;
        Ok(Self(Arc::new(Inner {
            path,
            look,
            last: Mutex::new((Instant::now(), header)),
        })))
    }

    /// The header with the token as it was when the file was last looked at. A file that can't be
    /// read for now, such as one that is being replaced, leaves the last token in use.
    fn header(&self) -> HeaderValue {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.elapsed() >= self.0.look {
            last.0 = Instant::now();
            match read(&self.0.path) {
                Ok(header) => last.1 = header,
                Err(error) => {
                    tracing::warn!(error = %error, "the service's token can't be read; the last one stays");
                }
            }
        }
        last.1.clone()
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFile").field(&self.0.path).finish()
    }
}

/// Reads the file's one line. It is small and local, so it is read where it is needed.
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

    #[test]
    fn a_token_is_read_again_and_survives_a_file_that_is_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        assert!(TokenFile::open(&path).is_err());
        for bad in ["", "  \n", "two words", "two\nlines"] {
            std::fs::write(&path, bad).expect("written");
            assert!(TokenFile::open(&path).is_err(), "{bad:?}");
        }
        std::fs::write(&path, "first\n").expect("written");
        let file = TokenFile::open_at(path.clone(), Duration::ZERO).expect("a token");
        assert_eq!(file.header(), "Bearer first");
        std::fs::write(&path, "second").expect("written");
        assert_eq!(file.header(), "Bearer second");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(file.header(), "Bearer second");
        assert!(!format!("{file:?} {:?}", file.header()).contains("second"));
    }
}
