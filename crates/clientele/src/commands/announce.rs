//! What a server prints for its person once it listens: where, and how to make a first call.

use serve::Server;

/// Says where `services` listen, and what a call needs: a token where it is asked for one, the
/// server's authority where it speaks TLS.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn announce(server: &Server, services: &[&str]) {
    let address = server.address();
    let (scheme, grpcurl, ca) = if server.is_encrypted() {
        ("https", "-cacert CA.pem", " --ca CA.pem")
    } else {
        ("http", "-plaintext", "")
    };
    println!(
        "clientele {} on {scheme}://{address}",
        env!("CARGO_PKG_VERSION")
    );
    println!("  services  {}", services.join(", "));
    println!("  first call, with grpcurl (reflection is on):");
    println!("    grpcurl {grpcurl} {address} list");
    match services {
        ["contacts", ..] => println!(
            "    grpcurl {grpcurl} -d '{{\"parent\":\"workspaces/default\",\"contact\":{{\"display_name\":\"Ada Example\"}}}}' \\\n      {address} clientele.contacts.v1.ContactService/CreateContact"
        ),
        _ => println!("    grpcurl {grpcurl} {address} grpc.health.v1.Health/Check"),
    }
    if server.is_authenticated() {
        println!("  each call needs a token: -H \"authorization: Bearer $CLIENTELE_TOKEN\"");
    }
    if services.len() == 3 {
        println!("  the whole story: clientele demo --address {scheme}://{address}{ca}");
    }
}
