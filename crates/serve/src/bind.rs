//! Which addresses a server may listen on.

use std::net::SocketAddr;

/// Why an address is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "refusing to listen on {0}: without TLS and an authenticator everyone who reaches that address \
     could read and change all data. Listen on 127.0.0.1 or [::1], and put a proxy that \
     authenticates in front if others must reach it"
)]
pub struct NotLoopback(pub SocketAddr);

/// Refuses every address that other machines can reach. Until a server has TLS and an
/// authenticator, loopback is its only protection.
pub fn require_loopback(address: SocketAddr) -> Result<(), NotLoopback> {
    if address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(NotLoopback(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_accepted() {
        for address in [
            "127.0.0.1:50051",
            "127.8.9.10:0",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(require_loopback(address.parse().expect("parses")), Ok(()));
        }
        for address in [
            "0.0.0.0:50051",
            "[::]:50051",
            "192.0.2.1:80",
            "[2001:db8::1]:80",
        ] {
            let address = address.parse().expect("parses");
            assert_eq!(require_loopback(address), Err(NotLoopback(address)));
        }
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        let text = NotLoopback("0.0.0.0:50051".parse().expect("parses")).to_string();
        for part in ["0.0.0.0:50051", "TLS", "authenticator", "127.0.0.1"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
