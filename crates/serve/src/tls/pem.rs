//! Certificates, keys and authorities from the text of PEM files.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Part, TlsError};

/// A certificate with its chain, and the key that belongs to it.
///
/// Files that are replaced one after the other don't belong together for a moment: such a pair is
/// refused, and the last good one stays in use.
pub(super) fn pair(
    certificate: (&Path, &[u8]),
    key: (&Path, &[u8]),
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(Part::Certificate, certificate.0, certificate.1)?;
    let wrong_key = |problem: &str| TlsError::new(Part::Key, key.0, problem);
    let private = PrivateKeyDer::from_pem_slice(key.1)
        .map_err(|_| wrong_key("there is no private key in PEM in it"))?;
    let private = provider.key_provider.load_private_key(private);
    let private = private.map_err(|_| wrong_key("the kind of its key is not known here"))?;
    let pair = CertifiedKey::new(chain, private);
    pair.keys_match()
        .map_err(|_| wrong_key("it is not the key of the certificate"))?;
    Ok(Arc::new(pair))
}

/// Authorities whose certificates are taken.
pub(super) fn authorities(path: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(Part::Authority, path, text)? {
        roots.add(certificate).map_err(|error| {
            TlsError::new(
                Part::Authority,
                path,
                format!("a certificate in it is not one of an authority: {error}"),
            )
        })?;
    }
    Ok(roots)
}

/// How a log line names a certificate: its serial number and the beginning of its SHA-256
/// fingerprint, both in hexadecimal.
pub(super) fn name_of(certificate: &CertificateDer<'_>) -> (String, String) {
    let serial = webpki::EndEntityCert::try_from(certificate)
        .map(|parsed| hex(parsed.serial()))
        .unwrap_or_default();
    let fingerprint = digest::digest(&digest::SHA256, certificate);
    (serial, hex(&fingerprint.as_ref()[..8]))
}

fn certificates(
    part: Part,
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let read = read.map_err(|error| TlsError::new(part, path, format!("not PEM: {error}")))?;
    let readable = |certificate| webpki::EndEntityCert::try_from(certificate).map(|_| ());
    match read.iter().try_for_each(readable) {
        _ if read.is_empty() => {
            let problem = "there is no certificate in PEM in it";
            Err(TlsError::new(part, path, problem))
        }
        // An authority may be of a form that no server's certificate may have.
        Err(error) if part == Part::Certificate => {
            let problem = format!("a certificate in it can't be read: {error}");
            Err(TlsError::new(part, path, problem))
        }
        _ => Ok(read),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
