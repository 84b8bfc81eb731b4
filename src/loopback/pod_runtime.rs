//! [`PodRuntime`]: which runtime a pod has, and the calls that the kubelet makes to either.
//!
//! A pod runs sandboxd if one of its containers opens sandboxd's gRPC port or its image is named
//! after it; else it runs the legacy runtime.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::config::ClusterConfig;
use super::fault::Faults;
use super::runtime::{LegacyRuntime, LegacySettings};
use super::sandboxd::{Sandboxd, SandboxdSettings};
use super::store::Object;
use crate::api::SANDBOXD_GRPC_PORT;

/// TCP ports of the runtimes in every pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// The legacy runtime.
    pub(super) legacy: u16,
    /// sandboxd's REST API.
    pub(super) rest: u16,
    /// sandboxd's gRPC API.
    pub(super) grpc: u16,
}

impl Ports {
    pub(super) fn of(config: &ClusterConfig) -> Self {
        Self {
            legacy: config.runtime_port,
            rest: config.sandboxd_rest_port,
            grpc: config.sandboxd_grpc_port,
        }
    }
}

/// What a pod's runtime needs to start.
#[derive(Debug)]
pub(super) struct PodSettings {
    /// Address of the pod.
    pub(super) ip: IpAddr,
    pub(super) ports: Ports,
    /// The pod's directory; made at the start, removed at the end. The parent must exist.
    pub(super) directory: PathBuf,
    /// What goes wrong in it.
    pub(super) faults: Faults,
}

/// The runtime of one pod.
#[derive(Debug)]
pub(super) enum PodRuntime {
    /// Commands and files over HTTP on one port.
    Legacy(LegacyRuntime),
    /// Files over REST, processes over gRPC.
    Sandboxd(Sandboxd),
}

impl PodRuntime {
    /// Starts the pod's runtime; it accepts connections when this returns.
    ///
    /// # Errors
    /// The system's error; nothing is left then.
    pub(super) async fn start(pod: &Object, settings: PodSettings) -> io::Result<Self> {
        let PodSettings {
            ip,
            ports,
            directory,
            faults,
        } = settings;
        let name = pod.name().to_owned();
        let Some(container) = sandboxd_container(&pod.value["spec"]) else {
            let settings = LegacySettings {
                name,
                address: SocketAddr::new(ip, ports.legacy),
                directory,
                faults,
            };
            return LegacyRuntime::start(settings).await.map(Self::Legacy);
        };
        let settings = SandboxdSettings {
            name,
            ip,
            rest_port: ports.rest,
            grpc_port: ports.grpc,
            directory,
            environment: environment(container),
            faults,
        };
        Sandboxd::start(settings).await.map(Self::Sandboxd)
    }

    /// Process groups that may still be alive.
    pub(super) fn processes(&self) -> usize {
        match self {
            Self::Legacy(runtime) => runtime.processes(),
            Self::Sandboxd(runtime) => runtime.processes(),
        }
    }

    /// Kills the processes and closes all sockets, without waiting for anything.
    pub(super) fn kill(&self) {
        match self {
            Self::Legacy(runtime) => runtime.kill(),
            Self::Sandboxd(runtime) => runtime.kill(),
        }
    }

    /// Ends the processes (SIGTERM, after `grace` SIGKILL), closes the sockets, removes the directory.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was not ended yet is left. Run it to its end.
    pub(super) async fn end(&self, grace: Duration) {
        match self {
            Self::Legacy(runtime) => runtime.end(grace).await,
            Self::Sandboxd(runtime) => runtime.end(grace).await,
        }
    }
}

/// The container of a pod that runs sandboxd.
fn sandboxd_container(spec: &Value) -> Option<&Value> {
    let mut containers = spec["containers"].as_array().into_iter().flatten();
    containers.find(|container| {
        let mut ports = container["ports"].as_array().into_iter().flatten();
        let image = container["image"].as_str().unwrap_or_default();
        ports.any(|port| port["containerPort"] == SANDBOXD_GRPC_PORT) || image.contains("sandboxd")
    })
}

/// Variables of a container that are written out in it.
fn environment(container: &Value) -> BTreeMap<String, String> {
    let variables = container["env"].as_array().into_iter().flatten();
    variables
        .filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_with_the_grpc_port_or_an_image_of_that_name_runs_sandboxd() {
        for (container, expected) in [
            (
                json!({ "image": "python", "ports": [{ "containerPort": 8888 }] }),
                false,
            ),
            (json!({ "image": "python" }), false),
            (
                json!({ "image": "x", "ports": [{ "containerPort": 8080 }] }),
                false,
            ),
            (
                json!({ "image": "x", "ports": [{ "containerPort": 9090 }] }),
                true,
            ),
            (
                json!({ "image": "registry.example/agent-sandbox/sandboxd:v1" }),
                true,
            ),
        ] {
            let spec = json!({ "containers": [{ "image": "sidecar" }, container] });
            assert_eq!(sandboxd_container(&spec).is_some(), expected, "{spec}");
        }
        assert!(sandboxd_container(&json!({})).is_none());
    }
}
