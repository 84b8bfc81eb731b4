//! A certificate authority for tests: a server's certificate for `localhost`, a client's, and what both sides need.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

pub struct Authority {
    /// The authority's certificate.
    pub pem: String,
    /// A server that asks for nothing.
    pub acceptor: TlsAcceptor,
    /// A server that asks its clients for a certificate.
    pub mutual: TlsAcceptor,
    /// A client's certificate and key.
    pub client: (String, String),
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority for tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |names: &[&str], usage: ExtendedKeyUsagePurpose| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let names = ["localhost", "127.0.0.1"];
        let (certificate, key) = signed(&names, ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = signed(&["client"], ExtendedKeyUsagePurpose::ClientAuth);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let acceptor = |asks: bool| {
            let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .unwrap();
            let builder = if asks {
                builder.with_client_cert_verifier(Arc::clone(&verifier) as Arc<_>)
            } else {
                builder.with_no_client_auth()
            };
            let chain = vec![CertificateDer::from(certificate.der().to_vec())];
            let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let mut config = builder.with_single_cert(chain, private).unwrap();
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        };
        Self {
            pem: issuer.pem(),
            acceptor: acceptor(false),
            mutual: acceptor(true),
            client: (client.pem(), client_key.serialize_pem()),
        }
    }
}
