//! TLS between frontend and machines: the frontend's certificate comes from the cluster's own authority, and a machine
//! believes that authority alone, known by its fingerprint.

use super::NetError;
use super::addresses::reachable_at;
use crate::trust::{Fingerprint, Keys};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// A certificate is shown for so long after it was made, or before it by the clock; it begins a day early.
const CERTIFICATE_FRESH: Duration = Duration::from_secs(86_400);

fn said(error: impl std::fmt::Display) -> NetError {
    NetError::Said(format!("TLS: {error}"))
}

/// What takes TLS connections in, under every address that the listener can be reached at. The authority's own
/// certificate goes with the frontend's, so that who knows only its fingerprint can check.
pub fn acceptor(keys: &Keys, listener: SocketAddr) -> Result<TlsAcceptor, NetError> {
    let mut names: Vec<String> = reachable_at(listener).iter().map(|at| at.ip().to_string()).collect();
    let own_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    names.extend(Some(own_name.trim().to_owned()).filter(|name| !name.is_empty()));
    let certificate = OwnCertificate::new(keys.clone(), names, super::wall_clock())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(said)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    // A machine keeps its connection: a ticket for the next one would be made for nothing, a herd's times over.
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The frontend's certificate, made anew as days go by: a frontend that runs for years never shows one that has expired, nor
/// does one that was started before its clock was set.
#[derive(Debug)]
struct OwnCertificate {
    keys: Keys,
    names: Vec<String>,
    /// The one that is shown, and when it was made.
    made: Mutex<(Duration, Arc<CertifiedKey>)>,
}

impl OwnCertificate {
    fn new(keys: Keys, names: Vec<String>, now: Duration) -> Result<Self, NetError> {
        let made = Mutex::new((now, issue(&keys, &names, now)?));
        Ok(Self { keys, names, made })
    }

    /// The one to show at this time of day. Where none can be made, the one before stays.
    fn at(&self, now: Duration) -> Arc<CertifiedKey> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if now.abs_diff(made.0) > CERTIFICATE_FRESH
            && let Ok(certificate) = issue(&self.keys, &self.names, now)
        {
            *made = (now, certificate);
        }
        Arc::clone(&made.1)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(super::wall_clock()))
    }
}

fn issue(keys: &Keys, names: &[String], now: Duration) -> Result<Arc<CertifiedKey>, NetError> {
    let identity = keys.issue_server(now, names).map_err(said)?;
    let chain = [identity.certificate_pem.as_bytes(), keys.authority.certificate_pem().as_bytes()];
    let certificates: Result<Vec<_>, _> = chain.into_iter().flat_map(CertificateDer::pem_slice_iter).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(said)?;
    let certified = CertifiedKey::from_der(certificates.map_err(said)?, key, &default_provider());
    Ok(Arc::new(certified.map_err(said)?))
}

/// The fingerprint of the first certificate in a PEM text.
pub fn fingerprint(pem: &[u8]) -> Result<Fingerprint, NetError> {
    CertificateDer::from_pem_slice(pem).map(|certificate| Fingerprint::of(&certificate)).map_err(said)
}

/// Whom a machine believes: one authority, told beforehand, or else the one that the frontend shows first.
#[derive(Debug)]
pub struct Believer {
    authority: OnceLock<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl Believer {
    /// Believes the authority of this fingerprint; the first one that is met where none is told.
    pub fn new(authority: Option<Fingerprint>) -> Arc<Self> {
        let told = OnceLock::new();
        if let Some(authority) = authority {
            told.set(authority).expect("nobody has set what was made just now");
        }
        Arc::new(Self { authority: told, provider: Arc::new(default_provider()) })
    }

    /// The authority that is believed, once there is one.
    pub fn authority(&self) -> Option<Fingerprint> {
        self.authority.get().copied()
    }

    /// What a client speaks TLS with.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, NetError> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(said)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        // The frontend gives no tickets: memory for hundreds of sessions would be made for nothing.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

impl ServerCertVerifier for Believer {
    /// The chain must end in the believed authority. Under which name the frontend was asked is of no interest: the
    /// authority vouches for frontends of its cluster alone, and those are known by many addresses. A machine whose
    /// clock has lost the time takes the certificate's beginning for now.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let told = self.authority.get();
        let fits = |shown: &&CertificateDer<'_>| told.is_none_or(|told| *told == Fingerprint::of(shown));
        let shown = intermediates.iter().rfind(fits).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(shown.clone().into_owned())?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verify = |now| verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms);
        match verify(now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                verify(not_before)?;
            }
            verified => verified?,
        }
        // Of two connections that meet an authority first, the second must have met the same.
        let first = self.authority.get_or_init(|| Fingerprint::of(shown));
        if *first != Fingerprint::of(shown) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    /// A frontend's chain in a cluster of its own, and the fingerprint of its authority.
    fn chain() -> (Vec<CertificateDer<'static>>, Fingerprint) {
        let cluster = tempfile::tempdir().expect("a folder");
        let keys = Keys::open_or_create(cluster.path(), NOW).expect("keys");
        let identity = keys.issue_server(NOW, &["10.1.1.1".to_owned()]).expect("a certificate");
        let pems = [identity.certificate_pem, keys.authority.certificate_pem().to_owned()];
        let chain = pems.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).collect();
        (chain, fingerprint(pems[1].as_bytes()).expect("a certificate"))
    }

    fn believes(believer: &Believer, chain: &[CertificateDer<'static>], now: Duration) -> bool {
        let name = ServerName::try_from("anything.local").expect("a name");
        believer.verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::since_unix_epoch(now)).is_ok()
    }

    #[test]
    fn only_the_told_authority_is_believed_or_the_first_that_is_met() {
        let ((ours, pin), (theirs, _)) = (chain(), chain());
        let told = Believer::new(Some(pin));
        assert!(believes(&told, &ours, NOW));
        assert!(!believes(&told, &theirs, NOW));
        // A stranger's certificate does not become ours by our authority standing beside it.
        let mixed = [theirs[0].clone(), ours[1].clone()];
        assert!(!believes(&told, &mixed, NOW));
        let first = Believer::new(None);
        assert!(first.authority().is_none() && !believes(&first, &mixed, NOW) && first.authority().is_none());
        assert!(believes(&first, &ours, NOW) && !believes(&first, &theirs, NOW));
        assert_eq!(first.authority(), Some(pin));
    }

    #[test]
    fn a_frontend_that_runs_for_years_or_whose_clock_is_set_shows_no_certificate_of_another_time() {
        let cluster = tempfile::tempdir().expect("a folder");
        let keys = Keys::open_or_create(cluster.path(), NOW).expect("keys");
        let pin = fingerprint(keys.authority.certificate_pem().as_bytes()).expect("a certificate");
        let told = Believer::new(Some(pin));
        let begun = OwnCertificate::new(keys, vec!["10.1.1.1".to_owned()], NOW).expect("a certificate");
        let day = Duration::from_secs(86_400);
        let first = begun.at(NOW);
        assert!(Arc::ptr_eq(&first, &begun.at(NOW + day / 2)), "it is not made for each connection");
        for now in [NOW, NOW + 400 * day, NOW + 2000 * day, NOW - 9000 * day, NOW] {
            assert!(believes(&told, &begun.at(now).cert, now), "{now:?}");
        }
        assert!(!believes(&told, &first.cert, NOW + 400 * day), "the first one had expired");
    }

    #[test]
    fn a_clock_that_lost_the_time_is_forgiven_and_an_old_certificate_is_not() {
        let (ours, pin) = chain();
        let told = Believer::new(Some(pin));
        assert!(believes(&told, &ours, Duration::from_secs(86_400)), "the clock stands in 1970");
        assert!(!believes(&told, &ours, NOW + Duration::from_secs(400 * 86_400)), "the certificate has expired");
    }
}
