//! Whom a server serves, and how its services prove to each other who they are.

use std::path::Path;

use anyhow::Result;
use serve::identity::{Authenticator, AuthenticatorError, Mapping, ProcessSecret, Settings};
use serve::peer::TokenFile;
use serve::{Credential, Protection};
use types::Clock;

use crate::cli::{Encryption, Identity, Service};
use crate::exit::WrongSetting;

/// What protects the server of one process, and how the services within it know each other.
pub async fn within_process(
    identity: &Identity,
    encryption: &Encryption,
) -> Result<(Protection, Credential)> {
    let secret = ProcessSecret::generate();
    let protection = protection(identity, encryption, Some(secret.clone())).await?;
    Ok((protection, Credential::Process(secret)))
}

/// What protects a server, as the settings say.
pub async fn protection(
    identity: &Identity,
    encryption: &Encryption,
    process: Option<ProcessSecret>,
) -> Result<Protection> {
    // Not said to clap, which takes a flag that the environment sets to false for given.
    if encryption.insecure_plaintext_behind_mesh && encryption.tls_certificate.is_some() {
        let problem = "can't be meant together with --tls-certificate";
        return Err(WrongSetting::new("--insecure-plaintext-behind-mesh", &problem).into());
    }
    Ok(Protection {
        tls: super::tls::of_server(encryption).await?,
        authenticator: of_callers(identity, encryption, process.clone()).await?,
        process,
        plaintext_behind_mesh: encryption.insecure_plaintext_behind_mesh,
    })
}

/// Asks callers who they are, if the settings say so.
async fn of_callers(
    settings: &Identity,
    encryption: &Encryption,
    process: Option<ProcessSecret>,
) -> Result<Option<Authenticator>> {
    let (Some(keys), Some(issuer), Some(audience)) =
        (&settings.jwks, &settings.issuer, &settings.audience)
    else {
        return Ok(None);
    };
    let settings = Settings {
        keys: keys.clone(),
        issuer: issuer.clone(),
        audience: audience.clone(),
        nbf_may_be_missing: settings.allow_missing_nbf,
        mapping: Mapping {
            services_by_certificate: encryption.client_ca.is_some(),
            ..mapping(settings.claims_file.as_deref())?
        },
        process,
    };
    let authenticator = Authenticator::start(settings, Clock::system()).await;
    Ok(Some(authenticator.map_err(|error| wrong(&error))?))
}

/// How a service in a process of its own proves to its peers who it is: by a token, or by the
/// certificate of its connections if it `shows` one.
pub fn of_service(
    service: Service,
    settings: &Identity,
    token_file: Option<&Path>,
    shows: bool,
) -> Result<Credential> {
    const SETTING: &str = "--service-token-file";
    match token_file {
        Some(path) => {
            let file = TokenFile::open(path).map_err(|error| WrongSetting::new(SETTING, &error))?;
            Ok(Credential::Token(file))
        }
        None if settings.jwks.is_some() && service != Service::Contacts && !shows => {
            let problem = "is needed by this service where callers are asked for tokens (--jwks), \
                           unless it calls an https:// address with a certificate of its own";
            Err(WrongSetting::new(SETTING, &problem).into())
        }
        None => Ok(Credential::None),
    }
}

/// What claims mean; the default where no file says it.
fn mapping(path: Option<&Path>) -> Result<Mapping, WrongSetting> {
    let Some(path) = path else {
        return Ok(Mapping::default());
    };
    let wrong = |error: &dyn std::fmt::Display| {
        WrongSetting::new("--claims-file", &format!("{}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(&error))
}

/// Names the setting that keeps an authenticator from starting.
fn wrong(error: &AuthenticatorError) -> WrongSetting {
    let setting = match error {
        AuthenticatorError::Keys { .. } => "--jwks",
        AuthenticatorError::Mapping(_) => "--claims-file",
        AuthenticatorError::Issuer => "--issuer",
        AuthenticatorError::Audience => "--audience",
    };
    WrongSetting::new(setting, error)
}
