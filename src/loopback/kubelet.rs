//! Scheduler and kubelet: gives each pod a node, an address, a directory and a runtime.
//!
//! A pod is Ready only when its runtime accepts connections. On deletion its commands are killed, its
//! sockets closed, its directory removed and its address given back; only then the object goes.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::address::AddressPlan;
use super::config::Delay;
use super::controller::{NODE, STATIC};
use super::http::Lifetime;
use super::runtime::Runtime;
use super::store::{Event, EventKind, Object, Part, Store, StoreError, kind, now_seconds};

/// On a pod: `never` keeps it from becoming ready.
const NEVER_READY: &str = "loopback.sandbench.dev/ready";
/// On a pod: the phase in which it ends instead of running.
const PHASE: &str = "loopback.sandbench.dev/phase";

/// The kubelet's memory of its pods.
#[derive(Debug, Clone)]
pub(super) struct Kubelet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    plan: AddressPlan,
    directory: PathBuf,
    start_delay: Delay,
    pods: Mutex<HashMap<String, Running>>,
    lifetime: Lifetime,
}

#[derive(Debug)]
struct Running {
    address: Ipv4Addr,
    directory: PathBuf,
    runtime: Runtime,
}

impl Kubelet {
    /// Follows the pods until the lifetime ends.
    pub(super) fn start(
        store: &Store,
        plan: AddressPlan,
        directory: &Path,
        start_delay: Delay,
        lifetime: &Lifetime,
    ) -> Self {
        let kubelet = Self {
            inner: Arc::new(Inner {
                store: store.clone(),
                plan,
                directory: directory.to_owned(),
                start_delay,
                pods: Mutex::default(),
                lifetime: lifetime.child(),
            }),
        };
        if let Ok(mut events) = store.watch(kind("Pod"), 0) {
            let (follower, stop) = (kubelet.clone(), lifetime.stop.clone());
            lifetime.tasks.spawn(async move {
                loop {
                    let batch = tokio::select! {
                        () = stop.cancelled() => return,
                        batch = events.next() => batch,
                    };
                    let Ok(batch) = batch else { return };
                    for event in batch {
                        follower.follow(event);
                    }
                }
            });
        }
        kubelet
    }

    fn follow(&self, event: Event) {
        let pod = event.object;
        if pod.annotation(STATIC).is_some() {
            if pod.is_deleting() && event.kind != EventKind::Deleted {
                self.inner
                    .store
                    .remove(kind("Pod"), (pod.namespace(), pod.name()), pod.uid());
            }
            return;
        }
        let inner = Arc::clone(&self.inner);
        let stop = inner.lifetime.stop.clone();
        let starts = event.kind == EventKind::Added && !pod.is_deleting();
        let begins_to_end = event.kind == EventKind::Deleted
            || (pod.is_deleting() && event.previous.is_none_or(|before| !before.is_deleting()));
        if starts {
            self.inner.lifetime.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = inner.bring_up(&pod) => {}
                }
            });
        } else if begins_to_end {
            self.inner
                .lifetime
                .tasks
                .spawn(async move { inner.take_down(&pod).await });
        }
    }

    /// How many runtimes run and how many process groups live in them.
    pub(super) fn counts(&self) -> (usize, usize) {
        let pods = self
            .inner
            .pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (
            pods.len(),
            pods.values().map(|pod| pod.runtime.live_processes()).sum(),
        )
    }

    /// Kills every command in every pod and closes their sockets.
    pub(super) fn stop_all(&self) {
        let pods = self
            .inner
            .pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pods.values().for_each(|pod| pod.runtime.stop());
    }
}

impl Inner {
    async fn bring_up(&self, pod: &Object) {
        match self.steps_up(pod).await {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(%error, pod = pod.name(), "could not start a pod"),
        }
    }

    async fn steps_up(&self, pod: &Object) -> Result<(), StoreError> {
        let pods = kind("Pod");
        let place = (pod.namespace(), pod.name());
        self.store.update(pods, place, Part::Main, |value| {
            value["spec"]["nodeName"] = json!(NODE);
            Ok(())
        })?;
        self.write(pod, |status| {
            status["phase"] = json!("Pending");
            status["startTime"] = json!(now_seconds());
            status["conditions"] = json!([met("PodScheduled")]);
        })?;
        self.start_delay.wait().await;
        if let Some(phase) = pod.annotation(PHASE) {
            let phase = phase.to_owned();
            return self.write(pod, move |status| status["phase"] = json!(phase));
        }
        let started = match self.launch(pod).await {
            Ok(started) => started,
            Err(reason) => {
                return self.write(pod, move |status| {
                    status["phase"] = json!("Failed");
                    status["message"] = json!(reason);
                });
            }
        };
        let ready = pod.annotation(NEVER_READY) != Some("never");
        let (address, uid) = (started.address.to_string(), pod.uid().to_owned());
        {
            let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
            pods.insert(uid, started);
        }
        let written = self.write(pod, move |status| {
            status["phase"] = json!("Running");
            status["hostIP"] = json!("127.0.0.1");
            status["podIP"] = json!(address);
            status["podIPs"] = json!([{ "ip": address }]);
            let mut conditions = vec![met("PodScheduled"), met("Initialized")];
            for name in ["ContainersReady", "Ready"] {
                conditions.push(if ready {
                    met(name)
                } else {
                    json!({ "type": name, "status": "False", "reason": "ContainersNotReady",
                        "lastTransitionTime": now_seconds() })
                });
            }
            status["conditions"] = json!(conditions);
        });
        // The pod may have been deleted while its runtime started.
        let gone = self
            .store
            .get(pods, place.0, place.1)
            .is_none_or(|now| now.uid() != pod.uid() || now.is_deleting());
        if gone {
            self.take_down(pod).await;
        }
        written
    }

    async fn launch(&self, pod: &Object) -> Result<Running, String> {
        let address = self
            .plan
            .take_pod()
            .ok_or_else(|| "no address is left for a pod".to_owned())?;
        let directory = self.directory.join(pod.uid());
        let made = tokio::fs::create_dir(&directory)
            .await
            .map_err(|error| error.to_string());
        let started = match made {
            Ok(()) => Runtime::start(address, pod.name(), directory.clone(), &self.lifetime)
                .await
                .map_err(|error| format!("listen on {address}: {error}")),
            Err(error) => Err(format!("create the pod's directory: {error}")),
        };
        match started {
            Ok(runtime) => Ok(Running {
                address,
                directory,
                runtime,
            }),
            Err(reason) => {
                self.plan.release_pod(address);
                remove(&directory).await;
                Err(reason)
            }
        }
    }

    async fn take_down(&self, pod: &Object) {
        let running = {
            let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
            pods.remove(pod.uid())
        };
        if let Some(running) = running {
            running.runtime.stop();
            remove(&running.directory).await;
            self.plan.release_pod(running.address);
        }
        self.store
            .remove(kind("Pod"), (pod.namespace(), pod.name()), pod.uid());
    }

    /// Writes the status of a pod that still is the same one.
    fn write(&self, pod: &Object, change: impl FnOnce(&mut Value)) -> Result<(), StoreError> {
        let place = (pod.namespace(), pod.name());
        self.store
            .update(kind("Pod"), place, Part::Status, |value| {
                if value["metadata"]["uid"] != pod.uid() {
                    return Err(StoreError::NotFound);
                }
                change(&mut value["status"]);
                let phase = value["status"]["phase"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                value["status"]["containerStatuses"] = containers(value, &phase);
                Ok(())
            })?;
        Ok(())
    }
}

fn met(name: &str) -> Value {
    json!({ "type": name, "status": "True", "lastTransitionTime": now_seconds() })
}

fn containers(pod: &Value, phase: &str) -> Value {
    let ready = super::controller::is_true(pod, "ContainersReady");
    let state = match phase {
        "Running" => json!({ "running": { "startedAt": now_seconds() } }),
        "Failed" => json!({ "terminated": { "exitCode": 1, "reason": "Error" } }),
        "Succeeded" => json!({ "terminated": { "exitCode": 0, "reason": "Completed" } }),
        _ => json!({ "waiting": { "reason": "ContainerCreating" } }),
    };
    let all = pod["spec"]["containers"].as_array().into_iter().flatten();
    all.map(|container| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "",
            "ready": ready, "started": phase == "Running", "restartCount": 0, "state": state,
        })
    })
    .collect()
}

async fn remove(directory: &Path) {
    // A command that dies only now may still write; what it leaves goes with the cluster's directory.
    if let Err(error) = tokio::fs::remove_dir_all(directory).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, directory = %directory.display(), "could not remove a pod's directory");
    }
}
