//! TLS to gateways and direct URLs, with the roots that the system trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::client::error::BoxError;

/// TLS settings, read from the system when first needed.
#[derive(Default)]
pub(super) struct Tls(OnceCell<TlsConnector>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// The connector.
    pub(super) async fn connector(&self) -> Result<&TlsConnector, BoxError> {
        self.0
            .get_or_try_init(|| async {
                // Reads some hundred files.
                let roots = tokio::task::spawn_blocking(native_roots).await??;
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                Ok(TlsConnector::from(Arc::new(config)))
            })
            .await
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
