//! Certificates of running processes change under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::certificates::Certificates;
use harness::client::Client;
use harness::engine::SERVICES;
use harness::eventually::eventually;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::mutual::{admin, three};
use crate::story;

/// The certificate that the server at `uri` shows to a new connection.
async fn shown(certificates: &Certificates, uri: &str) -> Result<CertificateDer<'static>, String> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_file(certificates.root()).map_err(|e| e.to_string())?;
    roots.add(root).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = uri.strip_prefix("https://").ok_or("not https")?;
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| e.to_string())?;
    let name = ServerName::try_from("localhost").map_err(|e| e.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().ok_or("no chain")?;
    Ok(chain[0].clone().into_owned())
}

/// Calls on and on, through all services, and none of it may fail; counts what was done.
async fn work(client: Client, contact: String, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let issued = story::invoice_of(&client, &contact).await;
        issued.expect("no call fails");
        // Somebody new each time: billing needs a grant, and pipeline the contact.
        let new = story::client_of(&client, "Ben").await;
        let new = new.expect("no call fails");
        let issued = story::invoice_of(&client, &new).await;
        issued.expect("no call fails");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_certificates_are_renewed_under_load_without_a_failed_call() {
    let (suite, realm, certificates) = three().await;
    let client = admin(&suite, &realm, &certificates).await;
    let contact = story::client_of(&client, "Ada").await.expect("a client");
    let (stop, done): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(work(client.clone(), contact.clone(), stop, done))
        })
        .collect();
    for _ in 0..2 {
        for service in SERVICES {
            let pair = certificates.renew(service);
            let expected = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
            let expected = expected.expect("PEM");
            let uri = &suite.process(service).uri;
            eventually("the new certificate is shown", async || {
                match shown(&certificates, uri).await? {
                    shown if shown == expected => Ok(()),
                    _ => Err("still the old one".to_owned()),
                }
            })
            .await;
            // Whatever was on its way when the certificate changed is done by then, and more was begun.
            let enough = done.load(Ordering::Relaxed) + 8;
            eventually("work goes on", async || {
                match done.load(Ordering::Relaxed) {
                    done if done >= enough => Ok(()),
                    done => Err(format!("{done} of {enough}")),
                }
            })
            .await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("no call has failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_does_not_fit_is_told_of_once_and_not_used() {
    let (suite, realm, certificates) = three().await;
    let client = admin(&suite, &realm, &certificates).await;
    let key = certificates.folder().join("contacts.key");
    let good = std::fs::read_to_string(&key).expect("a key");
    std::fs::write(&key, "no key").expect("written");
    let complaints = || {
        let log = suite.log("contacts");
        log.lines()
            .filter(|line| line.contains("the last good one stays"))
            .count()
    };
    eventually("it is told", async || match complaints() {
        0 => Err("nothing is told".to_owned()),
        _ => Ok(()),
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        story::told(&client).await;
    }
    let fresh = admin(&suite, &realm, &certificates).await;
    story::told(&fresh).await;
    assert_eq!(complaints(), 1);
    assert!(suite.log("contacts").contains("contacts.key"));
    std::fs::write(&key, good).expect("written");
    story::told(&client).await;
}
