//! [`TlsSettings`]: whom a TLS connection trusts, and who the client is.

use std::fmt;

use super::secret::Secret;

/// Settings of TLS. The default trusts what the system trusts, and shows no certificate.
///
/// ```
/// use sandbench::client::connect::TlsSettings;
///
/// let tls = TlsSettings {
///     authorities: Some("-----BEGIN CERTIFICATE-----\n…".to_owned()),
///     ..TlsSettings::default()
/// };
/// assert!(!tls.is_default());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// Certificates in PEM form of the only authorities to trust. Default: the system's.
    pub authorities: Option<String>,
    /// What the client shows to a server that asks who it is (mTLS). Default: nothing.
    pub identity: Option<ClientCertificate>,
}

impl TlsSettings {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("authorities", &self.authorities.as_ref().map(|_| "…"))
            .field("identity", &self.identity)
            .finish()
    }
}

/// A certificate of the client and its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate in PEM form, followed by those between it and its authority.
    pub certificates: String,
    /// Its private key in PEM form: PKCS#8, PKCS#1 or SEC1.
    pub key: Secret,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}
