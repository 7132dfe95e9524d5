//! TLS as the settings say: of a server, of its calls to the other services, and of client commands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;
use serve::tls::{
    ClientCertificates, ClientFiles, ClientTls, Part, ServerFiles, ServerTls, ServiceNames,
    TlsError,
};
use types::Clock;

use crate::cli::{Encryption, Peers};
use crate::exit::WrongSetting;

/// TLS of the server, if the settings turn it on.
pub async fn of_server(settings: &Encryption) -> Result<Option<ServerTls>> {
    let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
        return Ok(None);
    };
    let services = ServiceNames::new(&settings.service_san)
        .map_err(|error| WrongSetting::new("--service-san", &error))?;
    let clients = settings
        .client_ca
        .as_ref()
        .map(|authority| ClientCertificates {
            authority: authority.clone(),
            services,
        });
    let files = ServerFiles {
        certificate: certificate.clone(),
        key: key.clone(),
        clients,
    };
    let started = ServerTls::start(files, Clock::system()).await;
    Ok(Some(started.map_err(|error| {
        wrong(&error, ["--tls-certificate", "--tls-key", "--client-ca"])
    })?))
}

/// TLS of calls to the service at `uri`, where that is an `https://` address; and whether this service
/// shows a certificate in them.
pub async fn of_peers(
    settings: &Peers,
    own: &Encryption,
    uri: Option<&str>,
) -> Result<(Option<ClientTls>, bool)> {
    if !uri.is_some_and(is_secure) {
        refuse_unused(settings, uri)?;
        return Ok((None, false));
    }
    let (pair, names) = match (&settings.peer_certificate, &settings.peer_key) {
        (Some(certificate), Some(key)) => (
            Some((certificate.clone(), key.clone())),
            ["--peer-certificate", "--peer-key", "--peer-ca"],
        ),
        _ => (
            own.tls_certificate.clone().zip(own.tls_key.clone()),
            ["--tls-certificate", "--tls-key", "--peer-ca"],
        ),
    };
    let shows = pair.is_some();
    let files = ClientFiles {
        authority: settings.peer_ca.clone(),
        pair,
    };
    let started = ClientTls::start(files, Clock::system()).await;
    Ok((Some(started.map_err(|error| wrong(&error, names))?), shows))
}

/// Settings of TLS beside an address that is not of TLS would be of no use, and whoever gave them would
/// take the way for protected. A service that calls nobody may have them from a common environment.
fn refuse_unused(settings: &Peers, uri: Option<&str>) -> Result<(), WrongSetting> {
    let Some(uri) = uri else {
        return Ok(());
    };
    let given = [
        ("--peer-ca", &settings.peer_ca),
        ("--peer-certificate", &settings.peer_certificate),
        ("--peer-key", &settings.peer_key),
    ];
    match given.iter().find(|(_, file)| file.is_some()) {
        Some((setting, _)) => Err(unused(setting, uri)),
        None => Ok(()),
    }
}

/// The refusal of a setting of TLS beside this address.
fn unused(setting: &'static str, uri: &str) -> WrongSetting {
    let problem = format!("is of no use with {uri}, which is not an https:// address");
    WrongSetting::new(setting, &problem)
}

/// Refuses authorities for an address of a client command that is not of TLS.
pub fn refuse_authority(authority: Option<&Path>, address: &str) -> Result<(), WrongSetting> {
    match authority {
        Some(_) => Err(unused("--ca", address)),
        None => Ok(()),
    }
}

/// TLS of a client command.
pub async fn of_command(authority: Option<&Path>) -> Result<ClientTls> {
    let files = ClientFiles {
        authority: authority.map(Path::to_owned),
        pair: None,
    };
    let started = ClientTls::start(files, Clock::system()).await;
    Ok(started.map_err(|error| wrong(&error, ["--ca"; 3]))?)
}

/// Whether this is an address of TLS.
pub fn is_secure(uri: &str) -> bool {
    uri.get(..8)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Where a process reaches its own server, which may listen on every address of the machine.
pub fn own_uri(address: SocketAddr, encrypted: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if encrypted { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// Names the setting of the file that TLS can't be set up from.
fn wrong(error: &TlsError, [certificate, key, authority]: [&'static str; 3]) -> WrongSetting {
    let setting = match error.part {
        Part::Certificate => certificate,
        Part::Key => key,
        Part::Authority => authority,
    };
    WrongSetting::new(setting, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_reaches_itself_where_it_listens() {
        for (address, encrypted, uri) in [
            ("127.0.0.1:50051", false, "http://127.0.0.1:50051"),
            ("0.0.0.0:1", true, "https://127.0.0.1:1"),
            ("[::]:1", true, "https://[::1]:1"),
            ("192.0.2.1:443", true, "https://192.0.2.1:443"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(own_uri(address, encrypted), uri);
        }
        assert!(is_secure("HTTPS://host") && !is_secure("http://host") && !is_secure(""));
    }
}
