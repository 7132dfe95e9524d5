//! A caller's side: whose certificates it takes, and the certificate that it shows itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use types::Clock;

use super::own::OwnCertificate;
use super::reload::{Reloaded, Texts};
use super::server::ServerTls;
use super::{ALPN, Part, Time, TlsError, pem, provider};

/// The files of a caller's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities whose certificates are taken, in PEM; `None` takes those that the system
    /// trusts (`SSL_CERT_FILE` names others).
    pub authority: Option<PathBuf>,
    /// The certificate with its chain and its private key, in PEM, for servers that ask for one.
    pub pair: Option<(PathBuf, PathBuf)>,
}

/// A caller's side of TLS. Clones share it.
#[derive(Clone)]
pub struct ClientTls(Arc<Inner>);

enum Inner {
    Files(Reloaded<Arc<ClientConfig>>),
    Own(Arc<ClientConfig>),
}

impl ClientTls {
    /// Reads the files, which must be good now, and looks after them from now on. Must be called
    /// within a tokio runtime.
    pub async fn start(files: ClientFiles, clock: Clock) -> Result<Self, TlsError> {
        let system = match &files.authority {
            Some(_) => None,
            None => Some(system_roots().map_err(|problem| {
                TlsError::new(Part::Authority, "the system's certificates", problem)
            })?),
        };
        let authority = files.authority.map(|path| (Part::Authority, path));
        let pair = files
            .pair
            .map(|(certificate, key)| [(Part::Certificate, certificate), (Part::Key, key)]);
        let paths = authority
            .into_iter()
            .chain(pair.into_iter().flatten())
            .collect();
        let from_texts = move |texts: &Texts<'_>| make(texts, system.as_ref(), &clock);
        let name = "TLS for calls to other services";
        Ok(Self(Arc::new(Inner::Files(
            Reloaded::start(name, paths, from_texts).await?,
        ))))
    }

    /// For calls of a process to its own server, whatever names its certificate is for and whoever
    /// issued it.
    pub fn of_own_server(server: ServerTls) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = Arc::new(OwnCertificate {
            server,
            provider: Arc::clone(&provider),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(Part::Certificate, "", error.to_string()))?;
        let config = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self(Arc::new(Inner::Own(Arc::new(finished(config))))))
    }

    /// What the next handshake is made with.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        match &*self.0 {
            Inner::Files(made) => Arc::clone(&made.current()),
            Inner::Own(config) => Arc::clone(config),
        }
    }

    /// Rises when the files have changed: connections made before show a certificate of the past.
    pub(crate) fn number(&self) -> u64 {
        match &*self.0 {
            Inner::Files(made) => made.number(),
            Inner::Own(_) => 0,
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls(..)")
    }
}

/// The authorities that the system trusts (`SSL_CERT_FILE` names others).
pub(crate) fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        return Err("this system has no trusted certificates; SSL_CERT_FILE may name some".into());
    }
    Ok(roots)
}

fn make(
    texts: &Texts<'_>,
    system: Option<&RootCertStore>,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let roots = match (texts.of(Part::Authority), system) {
        (Some((path, text)), _) => pem::authorities(path, text)?,
        (None, Some(roots)) => roots.clone(),
        (None, None) => RootCertStore::empty(),
    };
    let pair = match (texts.of(Part::Certificate), texts.of(Part::Key)) {
        (Some(certificate), Some(key)) => Some(pem::pair(certificate, key, &provider)?),
        _ => None,
    };
    let time = Arc::new(Time(clock.clone()));
    let builder = ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(Part::Certificate, "", error.to_string()))?
        .with_root_certificates(roots);
    let config = match pair {
        Some(pair) => {
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(finished(config)))
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config
}
