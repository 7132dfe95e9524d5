//! Which addresses a server may listen on.

use std::net::SocketAddr;

use crate::identity::{Authenticator, ProcessSecret};
use crate::tls::ServerTls;

/// What stands between a server and whoever reaches its address.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// Speaks TLS with everyone.
    pub tls: Option<ServerTls>,
    /// Asks every caller who they are.
    pub authenticator: Option<Authenticator>,
    /// What whoever calls an internal rpc must know where no authenticator asks for more: for a server
    /// all of whose peers are in its own process.
    pub process: Option<ProcessSecret>,
    /// Lets the server do without TLS beyond loopback: something in front of it encrypts, such as the
    /// proxies of a service mesh, and nobody reaches the server but through that.
    pub plaintext_behind_mesh: bool,
}

impl Protection {
    /// Refuses every address that other machines can reach, unless there are both TLS and an
    /// authenticator: without the one, whoever is on the way reads tokens and data, without the other,
    /// everyone may do everything.
    pub fn require(&self, address: SocketAddr) -> Result<(), NotLoopback> {
        let encrypted = self.tls.is_some() || self.plaintext_behind_mesh;
        let authenticated = self.authenticator.is_some();
        if is_loopback(address) || (encrypted && authenticated) {
            return Ok(());
        }
        Err(NotLoopback {
            address,
            encrypted,
            authenticated,
        })
    }
}

/// Whether only this machine reaches an address.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "refusing to listen on {address} without {}: whoever reaches that address could read and change \
     all data. Listen on 127.0.0.1 or [::1] instead, or give what is missing",
    missing(*encrypted, *authenticated)
)]
pub struct NotLoopback {
    /// The address.
    pub address: SocketAddr,
    /// Whether there is TLS, or a mesh that does it.
    pub encrypted: bool,
    /// Whether there is an authenticator.
    pub authenticated: bool,
}

fn missing(encrypted: bool, authenticated: bool) -> &'static str {
    match (encrypted, authenticated) {
        (false, false) => "TLS and an authenticator",
        (false, true) => "TLS",
        (true, _) => "an authenticator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn require(address: &str, mesh: bool) -> Result<(), NotLoopback> {
        let protection = Protection {
            plaintext_behind_mesh: mesh,
            ..Protection::default()
        };
        protection.require(address.parse().expect("parses"))
    }

    #[test]
    fn only_loopback_is_accepted_without_protection() {
        for address in [
            "127.0.0.1:50051",
            "127.8.9.10:0",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(require(address, false), Ok(()));
        }
        for address in [
            "0.0.0.0:50051",
            "[::]:50051",
            "192.0.2.1:80",
            "[2001:db8::1]:80",
        ] {
            for encrypted in [false, true] {
                let refused = NotLoopback {
                    address: address.parse().expect("parses"),
                    encrypted,
                    authenticated: false,
                };
                assert_eq!(require(address, encrypted), Err(refused));
            }
        }
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        for (encrypted, authenticated, missing) in [
            (false, false, "without TLS and an authenticator"),
            (false, true, "without TLS:"),
            (true, false, "without an authenticator"),
        ] {
            let refused = NotLoopback {
                address: "0.0.0.0:50051".parse().expect("parses"),
                encrypted,
                authenticated,
            };
            let text = refused.to_string();
            for part in ["0.0.0.0:50051", missing, "127.0.0.1"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}
