//! Authorities for tests, and certificates of every sort.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use types::{Clock, Micros};

use crate::tls::{ClientFiles, ServerFiles};

/// An authority with a key of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is to be; good for a server on this machine and as a client's by default.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The hosts that it is for, addresses or names.
    pub hosts: Vec<&'static str>,
    /// The URIs among its names, such as a SPIFFE id.
    pub uris: Vec<String>,
    /// When its time begins.
    pub begins: Micros,
    /// When its time is over.
    pub ends: Micros,
    /// Its serial number.
    pub serial: u64,
}

impl Default for Leaf {
    fn default() -> Self {
        let now = Clock::system().now();
        Self {
            hosts: vec!["localhost", "127.0.0.1"],
            uris: Vec::new(),
            begins: now.minus(Duration::from_hours(1)),
            ends: now.plus(Duration::from_hours(1)),
            serial: rand::random_range(1..u64::MAX / 2),
        }
    }
}

impl Leaf {
    /// The certificate of a service, named by a SPIFFE id.
    pub fn of_service(service: &str) -> Self {
        Self {
            uris: vec![spiffe(service)],
            ..Self::default()
        }
    }

    /// The same, whose time was over a minute ago.
    #[must_use]
    pub fn expired(self) -> Self {
        Self {
            ends: Clock::system().now().minus(Duration::from_mins(1)),
            ..self
        }
    }
}

/// The SPIFFE id of a service in tests.
pub fn spiffe(service: &str) -> String {
    format!("spiffe://example.org/ns/clientele/sa/{service}")
}

/// A certificate and its key in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Where the two were written.
#[derive(Clone, Debug)]
pub struct PairFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its certificate into the folder.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.pem()).expect("written");
        path
    }

    /// A new key with a certificate.
    pub fn issue(&self, leaf: &Leaf) -> Pair {
        let hosts: Vec<String> = leaf.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("hosts");
        for uri in &leaf.uris {
            let uri = Ia5String::try_from(uri.as_str()).expect("ASCII");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(leaf.begins);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(leaf.ends);
        params.serial_number = Some(SerialNumber::from(leaf.serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Writes both into the folder as `NAME.pem` and `NAME.key`, each as a whole.
    pub fn write(&self, folder: &Path, name: &str) -> PairFiles {
        let files = PairFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        for (path, text) in [
            (&files.certificate, &self.certificate),
            (&files.key, &self.key),
        ] {
            let draft = path.with_extension("draft");
            std::fs::write(&draft, text).expect("written");
            std::fs::rename(&draft, path).expect("renamed");
        }
        files
    }
}

impl PairFiles {
    /// A server that shows it and asks for no certificates.
    pub fn server(&self) -> ServerFiles {
        ServerFiles {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            clients: None,
        }
    }

    /// A caller that shows it and trusts this authority.
    pub fn client(&self, authority: &Path) -> ClientFiles {
        ClientFiles {
            authority: Some(authority.to_owned()),
            pair: Some((self.certificate.clone(), self.key.clone())),
        }
    }
}

fn since_epoch(instant: Micros) -> Duration {
    Duration::from_micros(u64::try_from(instant.0).expect("after 1970"))
}
