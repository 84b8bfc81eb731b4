//! Why no connection to a sandbox could be prepared.

use std::time::Duration;

use super::{BoxError, KubeError};
use crate::units::HumanDuration;

/// Why no connection to a sandbox could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting of the connection mode is not valid.
    #[error("use `{value}` as {setting}: {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The Gateway got no usable address in time.
    #[error(
        "find the address of Gateway `{namespace}/{gateway}` within {}: {last}",
        HumanDuration(*.after)
    )]
    GatewayTimeout {
        /// Name of the Gateway.
        gateway: String,
        /// Its namespace.
        namespace: String,
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// The Gateway was deleted meanwhile.
    #[error("find the address of Gateway `{namespace}/{gateway}`: it was deleted")]
    GatewayDeleted {
        /// Name of the Gateway.
        gateway: String,
        /// Its namespace.
        namespace: String,
    },
    /// The Gateway has no listener for HTTP or HTTPS.
    #[error("find a listener of Gateway `{namespace}/{gateway}`: it has none for HTTP or HTTPS")]
    GatewayListener {
        /// Name of the Gateway.
        gateway: String,
        /// Its namespace.
        namespace: String,
    },
    /// No router pod is ready.
    #[error("find a ready pod of the Service `sandbox-router-svc` in {}", namespaces.join(" or "))]
    NoRouter {
        /// Where was looked.
        namespaces: Vec<String>,
    },
    /// The port-forward to a pod failed.
    #[error("open a port-forward to pod `{namespace}/{pod}`")]
    PortForward {
        /// Name of the pod.
        pod: String,
        /// Its namespace.
        namespace: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The sandbox has no Service, so it has no name in the cluster.
    #[error("find the Service of sandbox `{sandbox}`: the name `{name}` does not exist")]
    NoService {
        /// Name of the sandbox.
        sandbox: String,
        /// The name asked for.
        name: String,
    },
    /// A name could not be resolved.
    #[error("resolve the name `{name}`")]
    Lookup {
        /// The name.
        name: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The sandbox has no pod address (yet).
    #[error("find the pod address of sandbox `{sandbox}`: it has none")]
    NoPodIp {
        /// Name of the sandbox.
        sandbox: String,
    },
    /// The TCP connection was refused or failed.
    #[error("connect to {target}")]
    Dial {
        /// Where to.
        target: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The TLS handshake failed.
    #[error("agree on TLS with {target}")]
    Tls {
        /// Where to.
        target: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// Settings of TLS were given for a URL without TLS: they would silently not be used.
    #[error("use `{url}` with an authority or a certificate: it is not https")]
    TlsWithoutHttps {
        /// The URL.
        url: String,
    },
    /// No connection came about in time.
    #[error("connect to {target} within {}", HumanDuration(*.after))]
    Timeout {
        /// Where to.
        target: String,
        /// How long was waited.
        after: Duration,
    },
    /// The API server refused or failed.
    #[error("look up {place}")]
    Kube {
        /// What was looked up.
        place: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The handle was disconnected, or the client closed.
    #[error("connect to {target}: the handle is disconnected")]
    Closed {
        /// Where to.
        target: String,
    },
}

impl ConnectError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::GatewayTimeout {
                gateway, namespace, ..
            } => Some(format!(
                "look at `kubectl -n {namespace} describe gateway {gateway}`: it needs an address \
                 in `status.addresses` and must not be `Programmed=False`"
            )),
            Self::GatewayListener { .. } => {
                Some("add an HTTP listener, or name port and protocol yourself".to_owned())
            }
            Self::NoRouter { .. } => {
                Some("deploy the sandbox-router, or name the namespace in which it runs".to_owned())
            }
            Self::NoService { .. } => Some(
                "a sandbox has a name in the cluster only if its template says `service: true`; \
                 outside the cluster its names are not known; `in-cluster-pod-ip` needs no Service"
                    .to_owned(),
            ),
            Self::NoPodIp { .. } => Some("is the sandbox suspended?".to_owned()),
            Self::PortForward { namespace, .. } => Some(format!(
                "the user needs the RBAC verb `create` (older API servers) or `get` on \
                 `pods/portforward` in namespace `{namespace}`, and the router must listen on its port"
            )),
            Self::TlsWithoutHttps { .. } => {
                Some("write https://, or take the settings of TLS away".to_owned())
            }
            Self::Tls { .. } => Some(
                "the server's certificate must be signed by an authority that this system trusts, or \
                 that was given as trusted"
                    .to_owned(),
            ),
            Self::Kube { source, .. } => source.help(),
            Self::Setting { .. }
            | Self::GatewayDeleted { .. }
            | Self::Lookup { .. }
            | Self::Dial { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. } => None,
        }
    }
}
