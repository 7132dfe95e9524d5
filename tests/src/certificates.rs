//! Certificates for the processes of a suite, and for their callers.

use std::path::{Path, PathBuf};

use serve::testing::authority::{Authority, Leaf, Pair, spiffe};
use serve::tls::{ClientFiles, ClientTls};
use tempfile::TempDir;
use types::Clock;

/// An authority, and a certificate of it for each process.
pub struct Certificates {
    folder: TempDir,
    /// The authority.
    pub authority: Authority,
    root: PathBuf,
}

impl Certificates {
    /// A new authority.
    ///
    /// # Panics
    ///
    /// Panics when its files can't be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new("ours");
        let root = authority.write(folder.path(), "ca.pem");
        Self {
            folder,
            authority,
            root,
        }
    }

    /// Where the files are: `ca.pem`, and `SERVICE.pem` and `SERVICE.key` of each process.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the authority's certificate.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives the process of `service`, or `up`, a new certificate, in place of the one that it has.
    pub fn renew(&self, service: &str) -> Pair {
        let pair = self.authority.issue(&Leaf::of_service(service));
        pair.write(self.folder(), service);
        pair
    }

    /// What makes a process serve TLS with a new certificate.
    pub fn server(&self, service: &str) -> Vec<String> {
        let files = self.renew(service).write(self.folder(), service);
        [
            ("--tls-certificate", &files.certificate),
            ("--tls-key", &files.key),
        ]
        .iter()
        .flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()])
        .collect()
    }

    /// What makes the process of a service trust the certificates of the others.
    pub fn peers(&self) -> Vec<String> {
        vec!["--peer-ca".to_owned(), self.root.display().to_string()]
    }

    /// What makes a process know services by their certificates.
    pub fn clients(&self) -> Vec<String> {
        let root = self.root.display().to_string();
        let names = spiffe("{service}");
        ["--client-ca", &root, "--service-san", &names]
            .map(str::to_owned)
            .to_vec()
    }

    /// A caller that trusts the authority and shows nothing.
    pub async fn caller(&self) -> ClientTls {
        self.start(None).await
    }

    /// A caller that shows such a certificate.
    pub async fn caller_as(&self, leaf: &Leaf) -> ClientTls {
        let files = self.authority.issue(leaf).write(self.folder(), "caller");
        self.start(Some((files.certificate, files.key))).await
    }

    async fn start(&self, pair: Option<(PathBuf, PathBuf)>) -> ClientTls {
        let files = ClientFiles {
            authority: Some(self.root.clone()),
            pair,
        };
        ClientTls::start(files, Clock::system())
            .await
            .expect("good files")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
