//! A server's side: the certificate that it shows, and the client certificates that it asks for.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use types::Clock;

use super::reload::{Reloaded, Texts};
use super::services::ServiceNames;
use super::{ALPN, Part, Time, TlsError, pem, provider, unix_time};

/// How long the judgement about a client certificate stands, in microseconds. Connections outlive
/// certificates and authorities; an identity must not.
const JUDGED: i64 = 30_000_000;

/// The files of a server's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate with its chain, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// The client certificates to ask for; `None` asks for none.
    pub clients: Option<ClientCertificates>,
}

/// The client certificates that a server asks for. Who shows none may still call with a token; who
/// shows one that the authorities did not issue is refused at the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities, in PEM.
    pub authority: PathBuf,
    /// Which certificate is which service.
    pub services: ServiceNames,
}

/// A server's side of TLS. Clones share it.
#[derive(Clone)]
pub struct ServerTls(Arc<Inner>);

struct Inner {
    made: Reloaded<Made>,
    services: ServiceNames,
    clock: Clock,
}

/// What the files were made into.
struct Made {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl ServerTls {
    /// Reads the files, which must be good now, and looks after them from now on. Must be called
    /// within a tokio runtime.
    pub async fn start(files: ServerFiles, clock: Clock) -> Result<Self, TlsError> {
        let mut paths = vec![
            (Part::Certificate, files.certificate),
            (Part::Key, files.key),
        ];
        let mut services = ServiceNames::default();
        if let Some(clients) = files.clients {
            paths.push((Part::Authority, clients.authority));
            services = clients.services;
        }
        let time = clock.clone();
        let from_texts = move |texts: &Texts<'_>| make(texts, &time);
        let made = Reloaded::start("the server's certificate", paths, from_texts).await?;
        Ok(Self(Arc::new(Inner {
            made,
            services,
            clock,
        })))
    }

    /// Whether some client certificates are known to be of services.
    pub(crate) fn knows_services(&self) -> bool {
        !self.0.services.is_empty()
    }

    /// The handshake of one connection.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<Handshake<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (number, made) = (self.0.made.number(), self.0.made.current());
        let acceptor = TlsAcceptor::from(Arc::clone(&made.config));
        let stream = acceptor.accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain.map(|chain| Arc::new(self.certificate(chain, number)));
        Ok(Handshake {
            stream: Box::new(stream),
            certificate,
        })
    }

    fn certificate(&self, chain: &[CertificateDer<'_>], number: u64) -> ClientCertificate {
        let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
        let service = chain
            .first()
            .and_then(|own| self.0.services.service_of(own));
        ClientCertificate {
            service,
            chain,
            good: AtomicBool::new(true),
            judged: AtomicI64::new(self.0.clock.now().0),
            number: AtomicU64::new(number),
            tls: self.clone(),
        }
    }

    /// Whether this is the certificate that this server shows, or showed until the last change: a
    /// handshake may have begun before it.
    pub(super) fn is_own(&self, certificate: &CertificateDer<'_>) -> bool {
        let (now, before) = self.0.made.versions();
        now.certificate == *certificate
            || before.is_some_and(|before| before.certificate == *certificate)
    }

    /// Rises with each change of the files.
    #[cfg(test)]
    pub(super) fn number(&self) -> u64 {
        self.0.made.number()
    }

    /// Whether the authorities of now vouch for a client certificate, now.
    fn vouch(&self, chain: &[CertificateDer<'_>]) -> bool {
        let made = self.0.made.current();
        let (Some(verifier), [own, rest @ ..]) = (&made.clients, chain) else {
            return false;
        };
        let now = unix_time(&self.0.clock);
        verifier.verify_client_cert(own, rest, now).is_ok()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

/// A connection after its handshake.
pub(crate) struct Handshake<S> {
    /// What is said inside.
    pub stream: Box<TlsStream<S>>,
    /// What the client has shown and proven, if it has.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A certificate that a client has proven to hold.
pub(crate) struct ClientCertificate {
    service: Option<&'static str>,
    chain: Vec<CertificateDer<'static>>,
    /// What came of the last judgement, when that was, and which version of the files it was by.
    good: AtomicBool,
    judged: AtomicI64,
    number: AtomicU64,
    tls: ServerTls,
}

impl ClientCertificate {
    /// The service of the suite that it is of, as long as the certificate is valid and its authority
    /// one of the server's: both are looked at again every 30 seconds, and when the files change.
    pub(crate) fn service(&self) -> Option<&'static str> {
        let service = self.service?;
        let (now, number) = (self.tls.0.clock.now().0, self.tls.0.made.number());
        let age = now.abs_diff(self.judged.load(Ordering::Acquire));
        if age >= JUDGED.unsigned_abs() || self.number.load(Ordering::Acquire) != number {
            self.good
                .store(self.tls.vouch(&self.chain), Ordering::Release);
            self.number.store(number, Ordering::Release);
            self.judged.store(now, Ordering::Release);
        }
        self.good.load(Ordering::Acquire).then_some(service)
    }
}

fn make(texts: &Texts<'_>, clock: &Clock) -> Result<Made, TlsError> {
    let provider = provider();
    let missing = |part| TlsError::new(part, "", "is missing");
    let certificate = texts
        .of(Part::Certificate)
        .ok_or(missing(Part::Certificate))?;
    let key = texts.of(Part::Key).ok_or(missing(Part::Key))?;
    let pair = pem::pair(certificate, key, &provider)?;
    let wrong = |part, path: &std::path::Path, problem: &dyn fmt::Display| {
        TlsError::new(part, path, problem.to_string())
    };
    let clients: Option<Arc<dyn ClientCertVerifier>> = match texts.of(Part::Authority) {
        Some((path, text)) => {
            let roots = Arc::new(pem::authorities(path, text)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .allow_unauthenticated()
                    .build();
            Some(verifier.map_err(|error| wrong(Part::Authority, path, &error))?)
        }
        None => None,
    };
    let builder = ServerConfig::builder_with_details(provider, Arc::new(Time(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(Part::Certificate, certificate.0, &error))?;
    let builder = match &clients {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let own = pair.end_entity_cert().map(|own| own.clone().into_owned());
    let own = own.map_err(|error| wrong(Part::Certificate, certificate.0, &error))?;
    let (serial, sha256) = pem::name_of(&own);
    tracing::info!(serial, sha256, "the server shows this certificate");
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Made {
        config: Arc::new(config),
        certificate: own,
        clients,
    })
}
