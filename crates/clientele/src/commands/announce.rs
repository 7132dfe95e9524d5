//! What a server prints for its person once it listens: where, and how to make a first call.

use std::net::SocketAddr;

/// Says where `services` listen, and what a call needs where it is asked for a token.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn announce(address: SocketAddr, services: &[&str], authenticated: bool) {
    println!(
        "clientele {} on http://{address}",
        env!("CARGO_PKG_VERSION")
    );
    println!("  services  {}", services.join(", "));
    println!("  first call, with grpcurl (reflection is on):");
    println!("    grpcurl -plaintext {address} list");
    match services {
        ["contacts", ..] => println!(
            "    grpcurl -plaintext -d '{{\"parent\":\"workspaces/default\",\"contact\":{{\"display_name\":\"Ada Example\"}}}}' \\\n      {address} clientele.contacts.v1.ContactService/CreateContact"
        ),
        _ => println!("    grpcurl -plaintext {address} grpc.health.v1.Health/Check"),
    }
    if authenticated {
        println!("  each call needs a token: -H \"authorization: Bearer $CLIENTELE_TOKEN\"");
    }
    if services.len() == 3 {
        println!("  the whole story: clientele demo --address http://{address}");
    }
}
