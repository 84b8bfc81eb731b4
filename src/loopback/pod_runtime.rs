//! [`PodRuntime`]: what a pod runs, and the calls that the kubelet makes to it.
//!
//! A container that opens sandboxd's gRPC port, or whose image is named after it, runs sandboxd. A
//! pod without such a container runs the legacy runtime, and so does one in which another container
//! opens that runtime's port; as containers, the two share an address but no directory. The legacy
//! runtime listens on 8888, or on the first port that the containers open if 8888 is not among them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::config::ClusterConfig;
use super::fault::Faults;
use super::json::Value;
use super::runtime::{LegacyRuntime, LegacySettings};
use super::sandboxd::{Sandboxd, SandboxdProgram, SandboxdSettings};
use super::store::Object;
use crate::api::{RUNTIME_PORT, SANDBOXD_GRPC_PORT};

/// What the name of sandboxd's root has after that of the pod's directory.
pub(super) const SANDBOXD_DIRECTORY: &str = "-sandboxd";

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
    /// Path of the pod's directories; made when first needed unless they are there, removed at the end.
    pub(super) directory: PathBuf,
    /// Upstream's sandboxd, to be run in place of ours.
    pub(super) sandboxd_program: Option<PathBuf>,
    /// What goes wrong in it.
    pub(super) faults: Faults,
}

/// The runtimes of one pod.
#[derive(Debug)]
pub(super) struct PodRuntime {
    /// Commands and files over HTTP on one port.
    legacy: Option<LegacyRuntime>,
    /// Files over REST, processes over gRPC.
    sandboxd: Option<Sandboxd>,
    /// The same, upstream's own.
    program: Option<SandboxdProgram>,
}

impl PodRuntime {
    /// Starts what the pod runs; it accepts connections when this returns.
    ///
    /// # Errors
    /// The system's error; nothing is left then.
    pub(super) async fn start(pod: &Object, settings: PodSettings) -> io::Result<Self> {
        let spec = &pod.value["spec"];
        let mut runtime = Self {
            legacy: None,
            sandboxd: None,
            program: None,
        };
        if let Some(port) = legacy_port(spec, settings.ports.legacy) {
            let settings = LegacySettings {
                name: pod.name().to_owned(),
                address: SocketAddr::new(settings.ip, port),
                directory: settings.directory.clone(),
                faults: settings.faults.clone(),
            };
            runtime.legacy = Some(LegacyRuntime::start(settings).await?);
        }
        let Some(container) = sandboxd_container(spec) else {
            return Ok(runtime);
        };
        let program = settings.sandboxd_program;
        let mut directory = settings.directory.into_os_string();
        directory.push(SANDBOXD_DIRECTORY);
        let settings = SandboxdSettings {
            name: pod.name().to_owned(),
            ip: settings.ip,
            rest_port: settings.ports.rest,
            grpc_port: settings.ports.grpc,
            directory: directory.into(),
            environment: environment(container),
            faults: settings.faults,
        };
        let started = match &program {
            Some(program) => SandboxdProgram::start(program, &settings)
                .await
                .map(|program| runtime.program = Some(program)),
            None => Sandboxd::start(settings)
                .await
                .map(|sandboxd| runtime.sandboxd = Some(sandboxd)),
        };
        if let Err(error) = started {
            runtime.end(Duration::ZERO).await;
            return Err(error);
        }
        Ok(runtime)
    }

    /// Process groups that may still be alive.
    pub(super) fn processes(&self) -> usize {
        let legacy = self.legacy.as_ref().map_or(0, LegacyRuntime::processes);
        let program = self.program.as_ref().map_or(0, SandboxdProgram::processes);
        legacy + program + self.sandboxd.as_ref().map_or(0, Sandboxd::processes)
    }

    /// Kills the processes and closes all sockets, without waiting for anything.
    pub(super) fn kill(&self) {
        if let Some(legacy) = &self.legacy {
            legacy.kill();
        }
        if let Some(sandboxd) = &self.sandboxd {
            sandboxd.kill();
        }
        if let Some(program) = &self.program {
            program.kill();
        }
    }

    /// Ends the processes (SIGTERM, after `grace` SIGKILL), closes the sockets, removes the
    /// directories.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was not ended yet is left. Run it to its end.
    pub(super) async fn end(&self, grace: Duration) {
        let legacy = async {
            if let Some(legacy) = &self.legacy {
                legacy.end(grace).await;
            }
        };
        let sandboxd = async {
            if let Some(sandboxd) = &self.sandboxd {
                sandboxd.end(grace).await;
            }
            if let Some(program) = &self.program {
                program.end().await;
            }
        };
        tokio::join!(legacy, sandboxd);
    }
}

/// What the names of a pod's directories have after its UID.
pub(super) fn directory_suffixes(pod: &Object) -> Vec<&'static str> {
    let spec = &pod.value["spec"];
    let legacy = legacy_port(spec, RUNTIME_PORT).map(|_| "");
    let sandboxd = sandboxd_container(spec).map(|_| SANDBOXD_DIRECTORY);
    legacy.into_iter().chain(sandboxd).collect()
}

/// Port of the legacy runtime, if the pod runs it; `usual` stands for 8888.
fn legacy_port(spec: &Value, usual: u16) -> Option<u16> {
    let containers = spec["containers"].as_array().into_iter().flatten();
    let others = containers.filter(|container| !is_sandboxd(container));
    let open: Vec<u16> = others.flat_map(ports).collect();
    if open.contains(&RUNTIME_PORT) {
        return Some(usual);
    }
    if sandboxd_container(spec).is_some() {
        return None;
    }
    Some(open.first().copied().unwrap_or(usual))
}

/// The container of a pod that runs sandboxd.
fn sandboxd_container(spec: &Value) -> Option<&Value> {
    let mut containers = spec["containers"].as_array().into_iter().flatten();
    containers.find(|container| is_sandboxd(container))
}

fn is_sandboxd(container: &Value) -> bool {
    let image = container["image"].as_str().unwrap_or_default();
    ports(container).any(|port| port == SANDBOXD_GRPC_PORT) || image.contains("sandboxd")
}

/// The ports that a container opens.
fn ports(container: &Value) -> impl Iterator<Item = u16> {
    let ports = container["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
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
    use super::super::json::json;

    use super::*;

    #[test]
    fn ports_and_images_of_the_containers_say_what_a_pod_runs() {
        let legacy = json!({ "image": "python", "ports": [{ "containerPort": 8888 }] });
        let sidecar = json!({ "image": "proxy", "ports": [{ "containerPort": 8080 }] });
        let by_port = json!({ "image": "x", "ports": [{ "containerPort": 9090 }] });
        let by_image = json!({ "image": "registry.example/agent-sandbox/sandboxd:v1" });
        for (containers, wanted) in [
            (json!([legacy]), (Some(18888), false)),
            (json!([sidecar, legacy]), (Some(18888), false)),
            (json!([sidecar]), (Some(8080), false)),
            (json!(null), (Some(18888), false)),
            (json!([by_port]), (None, true)),
            (json!([by_image]), (None, true)),
            (json!([sidecar, by_image]), (None, true)),
            (json!([legacy, by_port]), (Some(18888), true)),
        ] {
            let spec = json!({ "containers": containers });
            let runs = (
                legacy_port(&spec, 18888),
                sandboxd_container(&spec).is_some(),
            );
            assert_eq!(runs, wanted, "{spec}");
        }
    }
}
