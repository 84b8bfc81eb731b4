//! The API server's certificate, signed by an authority that lives as long as the cluster.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::LoopbackError;

/// What the API server and its clients need for TLS.
pub(super) struct Identity {
    /// The server's side.
    pub(super) acceptor: TlsAcceptor,
    /// The authority's certificate, PEM.
    pub(super) authority: String,
}

impl Identity {
    /// Makes an authority and a certificate for the address.
    ///
    /// # Errors
    /// [`LoopbackError::Certificate`] or [`LoopbackError::Tls`] if a library refuses.
    pub(super) fn new(address: SocketAddr) -> Result<Self, LoopbackError> {
        let signed =
            Signed::new(address.ip()).map_err(|source| LoopbackError::Certificate { source })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![signed.certificate.der().clone()], private)
            })
            .map_err(|source| LoopbackError::Tls { source })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: signed.authority,
        })
    }
}

struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
    authority: String,
}

impl Signed {
    fn new(ip: IpAddr) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Of a name of its own: OpenSSL takes a certificate whose issuer has its name for
        // self-signed, and Python 3.13 asks for key usage and key identifiers.
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "sandbench loopback authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
        server.subject_alt_names.push(SanType::IpAddress(ip));
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let name = &mut server.distinguished_name;
        name.push(DnType::CommonName, "sandbench loopback API server");
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: server.signed_by(&key, &authority)?,
            key,
            authority: authority.pem(),
        })
    }
}
