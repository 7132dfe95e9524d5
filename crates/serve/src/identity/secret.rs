//! How the services of one process know each other: a secret that is made when the process starts
//! and that only its memory holds.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;

/// The scheme of the `authorization` header that carries the secret.
const SCHEME: &str = "Clientele-Process ";

/// The secret of a process. Clones are the same secret.
#[derive(Clone)]
pub struct ProcessSecret(Arc<HeaderValue>);

impl ProcessSecret {
    /// A new secret of 256 random bits.
    pub fn generate() -> Self {
        let secret: [u8; 32] = rand::random();
        let text = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(secret));
        let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        Self(Arc::new(header))
    }

    /// The `authorization` header of a call within the process.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::clone(&self.0)
    }

    /// Whether this is an `authorization` header of that kind.
    pub(crate) fn is_meant(header: &HeaderValue) -> bool {
        header.as_bytes().starts_with(SCHEME.as_bytes())
    }

    /// Whether the header has this secret. Takes as long whatever it differs in.
    pub(crate) fn fits(&self, header: &HeaderValue) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), header.as_bytes()).is_ok()
    }
}

impl fmt::Debug for ProcessSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_fits_and_none_is_shown() {
        let (ours, theirs) = (ProcessSecret::generate(), ProcessSecret::generate());
        assert!(ours.fits(&ours.clone().header()) && ProcessSecret::is_meant(&ours.header()));
        assert!(!ours.fits(&theirs.header()));
        for text in [
            "",
            "Clientele-Process ",
            "Bearer x",
            "Clientele-Process AAAA",
        ] {
            assert!(!ours.fits(&HeaderValue::from_static(text)), "{text}");
        }
        assert_eq!(format!("{ours:?}"), "ProcessSecret(..)");
        assert_eq!(format!("{:?}", ours.header()), "Sensitive");
    }
}
