//! TLS between frontend and machines: the frontend's certificate comes from the cluster's own authority, and a machine
//! believes that authority alone.

use super::NetError;
use super::addresses::reachable_at;
use crate::trust::Keys;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

fn said(error: impl std::fmt::Display) -> NetError {
    NetError::Said(format!("TLS: {error}"))
}

/// What takes TLS connections in, under every address that the listener can be reached at.
pub fn acceptor(keys: &Keys, listener: SocketAddr) -> Result<TlsAcceptor, NetError> {
    let mut names: Vec<String> = reachable_at(listener).iter().map(|at| at.ip().to_string()).collect();
    let own_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    names.extend(Some(own_name.trim().to_owned()).filter(|name| !name.is_empty()));
    let identity = keys.issue_server(super::since_1970(), &names).map_err(said)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(said)?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(said)?
        .with_no_client_auth()
        .with_single_cert(certificates.map_err(said)?, key)
        .map_err(said)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A client that believes only the authority of this certificate (PEM).
pub fn client(authority_pem: &[u8]) -> Result<Arc<ClientConfig>, NetError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority_pem) {
        roots.add(certificate.map_err(said)?).map_err(said)?;
    }
    if roots.is_empty() {
        return Err(NetError::Said("TLS: the authority's file holds no certificate".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(said)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
