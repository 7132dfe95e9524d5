//! Who may call, who calls, and what protects the way between them.

use std::path::PathBuf;

use clap::Args;
use serve::identity::KeySource;
use serve::tls::ServiceName;

/// Whom a server serves: everyone on this machine, or who has a token.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity of callers")]
pub struct Identity {
    /// Ask every caller for a token of the issuer whose keys (a JSON Web Key Set) are in this file or
    /// at this https:// address.
    #[arg(long, env = "CLIENTELE_JWKS", requires_all = ["issuer", "audience"])]
    pub jwks: Option<KeySource>,
    /// The issuer of tokens: their `iss`.
    #[arg(long, env = "CLIENTELE_ISSUER", requires = "jwks")]
    pub issuer: Option<String>,
    /// Whom tokens must be meant for: their `aud`, or one of it.
    #[arg(long, env = "CLIENTELE_AUDIENCE", requires = "jwks")]
    pub audience: Option<String>,
    /// Take tokens that do not say when they begin (`nbf`). Some issuers leave it out; all else that a
    /// token must have is asked for all the same.
    #[arg(long, env = "CLIENTELE_ALLOW_MISSING_NBF")]
    pub allow_missing_nbf: bool,
    /// A YAML or JSON file that says what claims mean: `claim`, `groups`, `service_claim`, `roles`.
    #[arg(long, env = "CLIENTELE_CLAIMS_FILE", requires = "jwks")]
    pub claims_file: Option<PathBuf>,
    /// Whether the server describes its services to clients such as grpcurl.
    #[arg(long, env = "CLIENTELE_REFLECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub reflection: bool,
}

/// How a server is reached: over TLS, or in the clear on this machine.
///
/// All files are PEM, and are read again as they change.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct Encryption {
    /// The certificate that the server shows, followed by its chain; turns TLS on.
    #[arg(long, env = "CLIENTELE_TLS_CERTIFICATE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The private key of that certificate.
    #[arg(long, env = "CLIENTELE_TLS_KEY", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Ask clients for certificates of these authorities: services of the suite are known by them.
    /// Who shows none may still come with a token.
    #[arg(long, env = "CLIENTELE_CLIENT_CA", requires_all = ["tls_certificate", "jwks", "service_san"])]
    pub client_ca: Option<PathBuf>,
    /// Which URI (subject alternative name) of a client certificate is which service:
    /// `spiffe://cluster.local/ns/NAMESPACE/sa/{service}` for all three, or SERVICE=URI for one; may be
    /// repeated, or a list with commas.
    #[arg(
        long,
        env = "CLIENTELE_SERVICE_SAN",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    pub service_san: Vec<ServiceName>,
    /// Listen beyond loopback in the clear: something in front encrypts, such as the proxies of a
    /// service mesh, and nobody reaches this port but through that. Needs --jwks all the same.
    #[arg(long, env = "CLIENTELE_INSECURE_PLAINTEXT_BEHIND_MESH")]
    pub insecure_plaintext_behind_mesh: bool,
}

/// How a service reaches the others at `https://` addresses.
///
/// All files are PEM, and are read again as they change.
#[derive(Debug, Args)]
#[command(next_help_heading = "Calls to the other services")]
#[expect(
    clippy::struct_field_names,
    reason = "settings are named as they are on the command line"
)]
pub struct Peers {
    /// The authorities of the other services' certificates; those that the system trusts where not
    /// said.
    #[arg(long, env = "CLIENTELE_PEER_CA")]
    pub peer_ca: Option<PathBuf>,
    /// The certificate that this service shows to the others; --tls-certificate where not said.
    #[arg(long, env = "CLIENTELE_PEER_CERTIFICATE", requires = "peer_key")]
    pub peer_certificate: Option<PathBuf>,
    /// The private key of that certificate.
    #[arg(long, env = "CLIENTELE_PEER_KEY", requires = "peer_certificate")]
    pub peer_key: Option<PathBuf>,
}

/// Who a client command calls as.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caller")]
pub struct Bearer {
    /// The token to call with, where the suite asks for one. Better given by the environment: others
    /// on this machine can see command lines.
    #[arg(long, env = "CLIENTELE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Whom a client command trusts to be the suite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caller")]
pub struct Trust {
    /// The authorities of the suite's certificate, a PEM file, for an https:// address; those that the
    /// system trusts where not said.
    #[arg(long, env = "CLIENTELE_CA")]
    pub ca: Option<PathBuf>,
}
