//! Why a client could not be built: configuration, reachability, or a cluster without Agent Sandbox.

use super::{BoxError, KubeError};

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Neither a configuration was given nor was one asked to be inferred.
    #[error("build a client: no cluster was named")]
    NoCluster,
    /// There is no kubeconfig, and this is not a pod with a service account.
    #[error("find a cluster: there is no usable kubeconfig and no service account")]
    NoConfiguration {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The kubeconfig cannot be used.
    #[error("read the kubeconfig")]
    Kubeconfig {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The kubeconfig has no such context.
    #[error("find the kubeconfig context `{context}`")]
    UnknownContext {
        /// What was asked for.
        context: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Certificates, credentials or proxy of the configuration cannot be used.
    #[error("prepare connections to {server}")]
    Configuration {
        /// Address of the API server.
        server: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The API server cannot be reached.
    #[error("reach the API server at {server}")]
    Unreachable {
        /// Address of the API server.
        server: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The API server's certificate is not trusted.
    #[error("trust the API server at {server}")]
    UntrustedCertificate {
        /// Address of the API server.
        server: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The cluster lacks the Agent Sandbox API.
    #[error("find Agent Sandbox in the cluster at {server}: the API group `{group}` is not served")]
    NotInstalled {
        /// Address of the API server.
        server: String,
        /// The group that is missing.
        group: &'static str,
    },
    /// The cluster serves the API only in versions that this client does not know.
    #[error("speak to Agent Sandbox at {server}: it serves {}", served.join(", "))]
    UnsupportedVersion {
        /// Address of the API server.
        server: String,
        /// What it serves.
        served: Vec<String>,
    },
    /// The API server refused or failed to tell its versions.
    #[error("find out the version of Agent Sandbox at {server}")]
    Discovery {
        /// Address of the API server.
        server: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The name server cannot be used.
    #[error("prepare for asking the name server")]
    Dns {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The thread of a [`Blocking`](super::super::Blocking) client cannot be started.
    #[error("start the thread of a blocking client")]
    Runtime {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A setting is not valid.
    #[error("use `{value}` as {setting}: {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl BuildError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoCluster => Some(
                "give the builder a configuration with `kubernetes(…)`, or call `infer()` or \
                 `context(…)`"
                    .to_owned(),
            ),
            Self::NoConfiguration { .. } => Some(
                "set KUBECONFIG or create ~/.kube/config (for example with `kind create cluster` \
                 or your cloud's `get-credentials`)"
                    .to_owned(),
            ),
            Self::Kubeconfig { .. } => {
                Some("check it with `kubectl config view` and `kubectl cluster-info`".to_owned())
            }
            Self::UnknownContext { known, .. } if known.is_empty() => {
                Some("the kubeconfig has no contexts".to_owned())
            }
            Self::UnknownContext { known, .. } => {
                Some(format!("the kubeconfig has: {}", known.join(", ")))
            }
            Self::NotInstalled { .. } => Some(
                "Agent Sandbox is not installed there; install the controller and its extensions: \
                 `kubectl apply -f https://github.com/kubernetes-sigs/agent-sandbox/releases/latest/download/manifest.yaml \
                 -f https://github.com/kubernetes-sigs/agent-sandbox/releases/latest/download/extensions.yaml`"
                    .to_owned(),
            ),
            Self::UnsupportedVersion { .. } => {
                Some("this client speaks v1alpha1 and v1beta1".to_owned())
            }
            Self::Unreachable { source, .. }
            | Self::UntrustedCertificate { source, .. }
            | Self::Discovery { source, .. } => source.help(),
            Self::Runtime { .. } => {
                Some("look at the limits of threads and of memory (`ulimit -u -v`)".to_owned())
            }
            Self::Dns { .. } | Self::Configuration { .. } | Self::Setting { .. } => None,
        }
    }
}
