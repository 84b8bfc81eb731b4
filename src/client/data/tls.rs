//! TLS to gateways and direct URLs: with the roots that the system trusts, or with given ones, and
//! with or without a certificate of the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::client::connect::{ClientCertificate, TlsSettings};
use crate::client::error::{BoxError, ConnectError};

type Cell = Arc<OnceCell<TlsConnector>>;

/// One connector per settings, made when first needed.
#[derive(Default)]
pub(super) struct Tls(Mutex<HashMap<TlsSettings, Cell>>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why TLS cannot be used.
pub(in crate::client) enum TlsProblem {
    /// What was given is not valid.
    Setting(&'static str, String),
    /// What the system has is not.
    System(BoxError),
}

impl TlsProblem {
    /// As the failure of a connection to `target`. What was given is not repeated.
    pub(in crate::client) fn at(self, target: String) -> ConnectError {
        match self {
            Self::Setting(setting, problem) => ConnectError::Setting {
                setting,
                value: "…".to_owned(),
                problem,
            },
            Self::System(source) => ConnectError::Tls { target, source },
        }
    }
}

impl Tls {
    /// The connector for these settings.
    pub(super) async fn connector(
        &self,
        settings: &TlsSettings,
    ) -> Result<TlsConnector, TlsProblem> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(settings) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(cells.entry(settings.clone()).or_default()),
            }
        };
        cell.get_or_try_init(|| prepare(settings)).await.cloned()
    }
}

async fn prepare(settings: &TlsSettings) -> Result<TlsConnector, TlsProblem> {
    let roots = match &settings.authorities {
        Some(pem) => given_roots(pem)?,
        // Reads some hundred files.
        None => tokio::task::spawn_blocking(native_roots)
            .await
            .map_err(|error| TlsProblem::System(error.into()))?
            .map_err(TlsProblem::System)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsProblem::System(error.into()))?
        .with_root_certificates(roots);
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = pair(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                TlsProblem::Setting(CLIENT, format!("it cannot be used: {error}"))
            })?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

const AUTHORITY: &str = "certificate of the authority";
const CLIENT: &str = "certificate of the client";
const KEY: &str = "private key of the client";

fn given_roots(pem: &str) -> Result<RootCertStore, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(AUTHORITY, pem)? {
        roots.add(certificate).map_err(|error| {
            TlsProblem::Setting(AUTHORITY, format!("it cannot be used: {error}"))
        })?;
    }
    Ok(roots)
}

fn pair(
    identity: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsProblem> {
    let chain = certificates(CLIENT, &identity.certificates)?;
    // The cause is left out: it may quote the key.
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
        .map_err(|_| TlsProblem::Setting(KEY, "it is not a private key in PEM form".to_owned()))?;
    Ok((chain, key))
}

fn certificates(
    setting: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsProblem::Setting(
            setting,
            "it is not a certificate in PEM form".to_owned(),
        )),
    }
}

fn native_roots() -> Result<RootCertStore, BoxError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match (added, found.errors.into_iter().next()) {
        (0, Some(error)) => Err(error.into()),
        (0, None) => Err("the system has no trusted certificates".into()),
        _ => Ok(roots),
    }
}
