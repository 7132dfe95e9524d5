//! Whom a server serves, and how its services prove to each other who they are.

use std::path::Path;

use anyhow::Result;
use serve::identity::{Authenticator, AuthenticatorError, Mapping, ProcessSecret, Settings};
use serve::peer::TokenFile;
use serve::{Credential, Server};
use types::Clock;

use crate::cli::{Identity, Service};
use crate::exit::WrongSetting;

/// The server as the settings want it, and how services within its process know each other.
pub async fn within_process(server: Server, settings: &Identity) -> Result<(Server, Credential)> {
    if settings.jwks.is_none() {
        return Ok((server, Credential::None));
    }
    let secret = ProcessSecret::generate();
    let server = of_callers(server, settings, Some(secret.clone())).await?;
    Ok((server, Credential::Process(secret)))
}

/// The server, which asks its callers who they are if the settings say so.
pub async fn of_callers(
    server: Server,
    settings: &Identity,
    process: Option<ProcessSecret>,
) -> Result<Server> {
    let (Some(keys), Some(issuer), Some(audience)) =
        (&settings.jwks, &settings.issuer, &settings.audience)
    else {
        return Ok(server);
    };
    let settings = Settings {
        keys: keys.clone(),
        issuer: issuer.clone(),
        audience: audience.clone(),
        mapping: mapping(settings.claims_file.as_deref())?,
        process,
    };
    let authenticator = Authenticator::start(settings, Clock::system()).await;
    Ok(server.authenticated_by(authenticator.map_err(|error| wrong(&error))?))
}

/// How a service in a process of its own proves to its peers who it is.
pub fn of_service(
    service: Service,
    settings: &Identity,
    token_file: Option<&Path>,
) -> Result<Credential> {
    const SETTING: &str = "--service-token-file";
    match token_file {
        Some(path) => {
            let file = TokenFile::open(path).map_err(|error| WrongSetting::new(SETTING, &error))?;
            Ok(Credential::Token(file))
        }
        None if settings.jwks.is_some() && service != Service::Contacts => {
            let problem = "is needed by this service where callers are asked for tokens (--jwks)";
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
