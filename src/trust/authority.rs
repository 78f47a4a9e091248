//! The cluster's own certificate authority: the frontend's certificate is signed by it, and a machine believes no
//! other (it is told the authority's certificate, or its fingerprint, when it is told to install).

use super::{TrustError, from_hex, to_hex};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long the authority lives.
pub const AUTHORITY_DAYS: u32 = 20 * 365;
/// How long a server's certificate lives; a new one is made whenever `serve` starts.
pub const SERVER_DAYS: u32 = 397;
/// Certificates begin a day early, for machines whose clocks are behind.
const EARLY: Duration = Duration::from_secs(86_400);

/// A certificate with its secret key, both as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its secret key (PKCS #8).
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// The authority.
#[derive(Debug, Clone)]
pub struct Authority(Identity);

impl Authority {
    /// A new authority around a secret key (PEM, PKCS #8), from `now` (since 1970) on.
    pub fn create(now: Duration, key_pem: String) -> Result<Self, TrustError> {
        let key = KeyPair::from_pem(&key_pem)?;
        let certificate_pem = authority_params(now).self_signed(&key)?.pem();
        Ok(Self(Identity { certificate_pem, key_pem }))
    }

    /// An authority that exists.
    pub fn from_identity(identity: Identity) -> Self {
        Self(identity)
    }

    /// Its certificate (PEM): what machines are told to believe.
    pub fn certificate_pem(&self) -> &str {
        &self.0.certificate_pem
    }

    /// A certificate for a server that is reached under these names and addresses, for a secret key (PEM, PKCS #8).
    pub fn issue_server(&self, now: Duration, names: &[String], key_pem: String) -> Result<Identity, TrustError> {
        // Name and key identifier are all that an issuer lends to what it signs: no need to read its certificate.
        let issuer = Issuer::new(authority_params(now), KeyPair::from_pem(&self.0.key_pem)?);
        let key = KeyPair::from_pem(&key_pem)?;
        let mut params = CertificateParams::new(names)?;
        let plain = self::params("rocks frontend", now, SERVER_DAYS);
        params.distinguished_name = plain.distinguished_name;
        params.not_before = plain.not_before;
        params.not_after = plain.not_after;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(Identity { certificate_pem: params.signed_by(&key, &issuer)?.pem(), key_pem })
    }
}

fn authority_params(now: Duration) -> CertificateParams {
    let mut params = params("rocks cluster authority", now, AUTHORITY_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, now: Duration, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let begin = std::time::UNIX_EPOCH + now.saturating_sub(EARLY);
    params.not_before = begin.into();
    params.not_after = (begin + EARLY * days).into();
    params
}

/// The SHA-256 of a certificate, shown as 64 hexadecimal digits: short enough for a boot line, enough to pin it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate's DER bytes.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha256::digest(certificate_der).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        from_hex(text).map(Self).ok_or_else(|| TrustError::BadFingerprint(text.to_owned()))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use std::sync::Arc;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn key() -> String {
        KeyPair::generate().expect("a key").serialize_pem()
    }

    /// Shakes hands in memory; gives the client's error, if any.
    fn handshake(authority: &Authority, server: &Identity, name: &str) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(server.certificate_pem.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).expect("PEM");
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a server");
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).expect("PEM"))
            .expect("a root");
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).expect("a client");
        let mut server = rustls::ServerConnection::new(Arc::new(server)).expect("a server");
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            wire.clear();
            client.write_tls(&mut wire).expect("memory");
            server.read_tls(&mut wire.as_slice()).expect("memory");
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).expect("memory");
            client.read_tls(&mut wire.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn a_server_is_believed_under_its_names_by_those_who_know_its_authority() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let authority = Authority::create(now, key()).expect("an authority");
        let names = ["frontend.local".to_owned(), "10.1.1.1".to_owned()];
        let server = authority.issue_server(now, &names, key()).expect("a certificate");
        handshake(&authority, &server, "10.1.1.1").expect("believed by address");
        handshake(&authority, &server, "frontend.local").expect("believed by name");
        assert!(handshake(&authority, &server, "other.local").is_err());
        let stranger = Authority::create(now, key()).expect("an authority");
        assert!(handshake(&stranger, &server, "10.1.1.1").is_err());
        let old = authority.issue_server(NOW - NOW / 2, &names, key()).expect("a certificate");
        assert!(handshake(&authority, &old, "10.1.1.1").is_err(), "an expired certificate is believed");
    }
}
