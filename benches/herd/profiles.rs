//! Thousands of machines that ask for their profiles, spread over one second.

use crate::client::Connection;
use crate::servers::{Cluster, host_address};
use rocks::net::http::client::{Client, Origin};
use rocks::net::tls::Believer;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many machines ask.
pub(crate) const HOSTS: u32 = 5_000;
/// How long they take to begin.
const SPREAD: Duration = Duration::from_secs(1);

/// Prints how many were answered and how long the slowest percent waited; three times: the second row is the herd
/// that finds every profile made, the third one the same over TLS with machines that check the frontend's certificate
/// on these very cores, the fourth with machines that leave that to cores of their own.
pub(crate) async fn run(cluster: &Cluster) {
    let server = cluster.serve(&[]);
    println!("profiles: {HOSTS} machines, spread over {} s", SPREAD.as_secs());
    println!(
        "{:<8} {:>9} {:>8} {:>9} {:>9} {:>9} {:>12} {:>10}",
        "round", "answered", "failed", "median", "p99", "slowest", "server CPU", "server MB"
    );
    let mut first = Vec::new();
    let unchecked = Arc::new(unchecked());
    for round in ["first", "second", "TLS", "TLS-"] {
        let (begin, cpu) = (Instant::now(), server.cpu_secs());
        let tasks: Vec<_> = (0..HOSTS)
            .map(|n| {
                let to = server.address;
                let unchecked = Arc::clone(&unchecked);
                tokio::spawn(async move {
                    tokio::time::sleep_until((begin + SPREAD * n / HOSTS).into()).await;
                    let asked = Instant::now();
                    let from = IpAddr::V4(host_address(n));
                    let size = match round {
                        "TLS" => over_tls(from, to, Believer::new(None).config().expect("a configuration")).await,
                        "TLS-" => over_tls(from, to, unchecked).await,
                        _ => in_the_clear(from, to).await,
                    };
                    (asked.elapsed(), size)
                })
            })
            .collect();
        let (mut waits, mut sizes, mut failed) = (Vec::new(), Vec::new(), 0);
        for task in tasks {
            match task.await.expect("a load task does not panic") {
                (wait, Some(size)) => {
                    waits.push(wait.as_secs_f64());
                    sizes.push(size);
                }
                (_, None) => failed += 1,
            }
        }
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits.get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1)));
        println!(
            "{round:<8} {:>9} {failed:>8} {:>7.0} ms {:>6.0} ms {:>6.0} ms {:>10.2} s {:>10.1}",
            waits.len(),
            1e3 * at(0.5).unwrap_or(&0.0),
            1e3 * at(0.99).unwrap_or(&0.0),
            1e3 * at(1.0).unwrap_or(&0.0),
            server.cpu_secs() - cpu,
            server.peak_mb(),
        );
        if round == "first" {
            first = sizes;
        } else {
            println!("as many bytes as in the first round: {}", if first == sizes { "yes" } else { "no" });
        }
    }
}

/// The length of a machine's profile, where it is given one.
async fn in_the_clear(from: IpAddr, to: SocketAddr) -> Option<u64> {
    let mut connection = Connection::open(Some(from), to).await.ok()?;
    let answer = connection.get("/install/profile", "").await.ok()?;
    (answer.status == 200).then_some(answer.body_bytes)
}

/// The same over TLS; each machine shakes hands anew.
async fn over_tls(from: IpAddr, to: SocketAddr, config: Arc<ClientConfig>) -> Option<u64> {
    let (origin, _) = Origin::parse(&format!("https://{to}")).ok()?;
    let client = Client::new(origin, Some(from)).with_tls(Some(config));
    client.get_whole("/install/profile", &[]).await.ok().map(|profile| profile.len() as u64)
}

/// Machines whose checks cost these cores nothing: those of a real herd have their own. No session is resumed.
fn unchecked() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has suites for them").dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Unchecked(schemes))).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct Unchecked(Vec<SignatureScheme>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
