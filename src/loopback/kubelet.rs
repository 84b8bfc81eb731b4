//! Scheduler and kubelet: gives each pod a node, an address, a directory and a runtime.
//!
//! Each pod has one task that walks through its life: bind, start, run, end. A pod is Ready only
//! when its runtime accepts connections; its object goes only when its commands are dead, its
//! sockets closed, its directory removed and its address given back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::address::{PodAddress, PodAddresses};
use super::config::DelaySource;
use super::controller::STATIC;
use super::fault::Faults;
use super::http::Lifetime;
use super::json::Value;
use super::pod_runtime::{PodRuntime, PodSettings, Ports};
use super::pod_status::{self, Phase};
use super::snapshots::{self, Archive};
use super::store::{Event, EventKind, Object, Part, Store, StoreError, kind};

/// On a pod: `never` keeps it from becoming ready.
const READY: &str = "loopback.sandbench.dev/ready";
/// On a pod: the phase in which it ends instead of running, `Failed` or `Succeeded`.
const PHASE: &str = "loopback.sandbench.dev/phase";
/// Longest time that commands get between SIGTERM and SIGKILL, whatever the grace period: nothing
/// in a pod has work to finish here.
const MAX_GRACE: Duration = Duration::from_millis(500);

/// What the kubelet needs to start.
#[derive(Debug)]
pub(super) struct KubeletSettings {
    pub(super) store: Store,
    pub(super) addresses: PodAddresses,
    /// Ports of the runtimes.
    pub(super) ports: Ports,
    /// Upstream's sandboxd, to be run in place of ours.
    pub(super) sandboxd_program: Option<PathBuf>,
    /// Where the pods' directories are made, and what they are made from.
    pub(super) archive: Archive,
    /// From the binding of a pod until its runtime starts.
    pub(super) start_delay: DelaySource,
    /// What goes wrong in the runtimes.
    pub(super) faults: Faults,
}

/// The kubelet and its pods. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Kubelet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: KubeletSettings,
    pods: Mutex<HashMap<String, Pod>>,
    lifetime: Lifetime,
}

/// A pod that is starting, running or ending.
#[derive(Debug, Default)]
struct Pod {
    deleted: CancellationToken,
    runtime: Option<Arc<PodRuntime>>,
}

/// A pod's runtime and its address, which is given back when this is dropped.
struct Launched {
    runtime: Arc<PodRuntime>,
    address: PodAddress,
}

impl Kubelet {
    /// Follows the pods until the lifetime ends.
    pub(super) fn start(settings: KubeletSettings, lifetime: &Lifetime) -> Self {
        let kubelet = Self(Arc::new(Inner {
            settings,
            pods: Mutex::default(),
            lifetime: lifetime.own(),
        }));
        if let Ok(mut events) = kubelet.0.settings.store.watch(kind("Pod"), 0) {
            let follower = kubelet.clone();
            lifetime.spawn(async move {
                while let Ok(batch) = events.next().await {
                    follower.follow_all(batch);
                    tokio::task::yield_now().await;
                }
            });
        }
        kubelet
    }

    fn follow_all(&self, batch: Vec<Event>) {
        for event in batch {
            self.follow(event);
        }
    }

    fn follow(&self, event: Event) {
        let pod = event.object;
        if pod.annotation(STATIC).is_some() {
            if pod.is_deleting() && event.kind != EventKind::Deleted {
                let place = (pod.namespace(), pod.name());
                self.0.settings.store.remove(kind("Pod"), place, pod.uid());
            }
            return;
        }
        let mut pods = self.0.pods();
        if event.kind == EventKind::Deleted || pod.is_deleting() {
            if let Some(known) = pods.get(pod.uid()) {
                known.deleted.cancel();
            }
        } else if event.kind == EventKind::Added {
            let deleted = CancellationToken::new();
            let known = Pod {
                deleted: deleted.clone(),
                runtime: None,
            };
            pods.insert(pod.uid().to_owned(), known);
            let inner = Arc::clone(&self.0);
            let tasks = &self.0.lifetime.tasks;
            tasks.spawn(async move { inner.live(pod, deleted).await });
        }
    }

    /// Pods whose runtime runs, and process groups in them that may be alive.
    pub(super) fn counts(&self) -> (usize, usize) {
        let pods = self.0.pods();
        let runtimes = pods.values().filter_map(|pod| pod.runtime.as_ref());
        runtimes.fold((0, 0), |(pods, processes), runtime| {
            (pods + 1, processes + runtime.processes())
        })
    }

    /// Kills every command at once, without waiting for anything: for a cluster that is dropped.
    pub(super) fn kill(&self) {
        self.0.lifetime.stop.cancel();
        for pod in self.0.pods().values() {
            if let Some(runtime) = &pod.runtime {
                runtime.kill();
            }
        }
    }

    /// Ends every pod: commands, sockets, directories.
    ///
    /// # Cancel safety
    /// Not cancel safe: pods that have not ended yet go on ending, with nobody waiting.
    pub(super) async fn end(&self) {
        self.0.lifetime.end().await;
    }
}

impl Inner {
    fn pods(&self) -> MutexGuard<'_, HashMap<String, Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole life of a pod.
    async fn live(&self, pod: Arc<Object>, deleted: CancellationToken) {
        let launched = match self.bring_up(&pod, &deleted).await {
            Ok(launched) => launched,
            Err(error) => {
                tracing::debug!(%error, pod = pod.name(), "the pod went before it ran");
                None
            }
        };
        self.over(&deleted).await;
        let stopped = self.lifetime.stop.is_cancelled();
        if let Some(Launched { runtime, address }) = launched {
            let grace = if stopped {
                Duration::ZERO
            } else {
                self.grace(&pod)
            };
            runtime.end(grace).await;
            drop(address);
        }
        self.pods().remove(pod.uid());
        if !stopped {
            let place = (pod.namespace(), pod.name());
            self.settings.store.remove(kind("Pod"), place, pod.uid());
        }
    }

    /// Waits until the pod is deleted or the cluster ends.
    async fn over(&self, deleted: &CancellationToken) {
        tokio::select! {
            () = self.lifetime.stop.cancelled() => {}
            () = deleted.cancelled() => {}
        }
    }

    /// What the deletion grants, cut to [`MAX_GRACE`].
    fn grace(&self, pod: &Object) -> Duration {
        self.settings
            .store
            .get(kind("Pod"), pod.namespace(), pod.name())
            .filter(|now| now.uid() == pod.uid())
            .and_then(|now| now.value["metadata"]["deletionGracePeriodSeconds"].as_u64())
            .map_or(MAX_GRACE, |seconds| {
                Duration::from_secs(seconds).min(MAX_GRACE)
            })
    }

    /// Brings the pod to its first state; `None` if it has no runtime in it.
    async fn bring_up(
        &self,
        pod: &Object,
        deleted: &CancellationToken,
    ) -> Result<Option<Launched>, StoreError> {
        let store = &self.settings.store;
        store.update(kind("Pod"), place(pod), Part::Main, |value| {
            same(value, pod)?;
            pod_status::bind(value);
            Ok(())
        })?;
        self.write(pod, Phase::Starting)?;
        let delay = self.settings.start_delay.next();
        if !delay.is_zero()
            && tokio::time::timeout(delay, self.over(deleted))
                .await
                .is_ok()
        {
            return Ok(None);
        }
        let ends = match pod.annotation(PHASE) {
            Some("Failed") => Some(Phase::Failed("the pod's annotation asks for it")),
            Some("Succeeded") => Some(Phase::Succeeded),
            _ => None,
        };
        if let Some(phase) = ends {
            return self.write(pod, phase).map(|()| None);
        }
        self.restore(pod).await?;
        let launched = match self.launch(pod).await {
            Ok(launched) => launched,
            Err(reason) => return self.write(pod, Phase::Failed(&reason)).map(|()| None),
        };
        if let Some(known) = self.pods().get_mut(pod.uid()) {
            known.runtime = Some(Arc::clone(&launched.runtime));
        }
        let ip = launched.address.ip();
        let phase = if pod.annotation(READY) == Some("never") {
            Phase::Running(ip)
        } else {
            Phase::Ready(ip)
        };
        if let Err(error) = self.write(pod, phase) {
            tracing::debug!(%error, pod = pod.name(), "the pod went while it started");
        }
        Ok(Some(launched))
    }

    async fn launch(&self, pod: &Object) -> Result<Launched, String> {
        let Some(address) = self.settings.addresses.take() else {
            return Err("no address is left for a pod".to_owned());
        };
        let settings = PodSettings {
            ip: address.ip().into(),
            ports: self.settings.ports,
            directory: self.settings.archive.pod(pod.uid()),
            sandboxd_program: self.settings.sandboxd_program.clone(),
            faults: self.settings.faults.clone(),
        };
        let ip = settings.ip;
        match PodRuntime::start(pod, settings).await {
            Ok(runtime) => Ok(Launched {
                runtime: Arc::new(runtime),
                address,
            }),
            Err(error) => {
                self.settings.archive.clear(pod).await;
                Err(format!("start the runtime on {ip}: {error}"))
            }
        }
    }

    /// Makes the pod's directories from its snapshot, if it has one, and has the pod say so.
    async fn restore(&self, pod: &Object) -> Result<(), StoreError> {
        let KubeletSettings { store, archive, .. } = &self.settings;
        let restored = snapshots::restore(store, archive, pod, &self.lifetime.stop).await;
        let Some(condition) = restored else {
            return Ok(());
        };
        let said = store.update(kind("Pod"), place(pod), Part::Status, |value| {
            same(value, pod)?;
            pod_status::add(value, condition);
            Ok(())
        });
        if said.is_err() {
            archive.clear(pod).await;
        }
        said.map(|_| ())
    }

    /// Writes the status of a pod that still is the same one.
    fn write(&self, pod: &Object, phase: Phase<'_>) -> Result<(), StoreError> {
        let store = &self.settings.store;
        store.update(kind("Pod"), place(pod), Part::Status, |value| {
            same(value, pod)?;
            pod_status::set(value, phase);
            Ok(())
        })?;
        Ok(())
    }
}

fn place(pod: &Object) -> (&str, &str) {
    (pod.namespace(), pod.name())
}

fn same(value: &Value, pod: &Object) -> Result<(), StoreError> {
    if value["metadata"]["uid"] == pod.uid() {
        Ok(())
    } else {
        Err(StoreError::NotFound)
    }
}
