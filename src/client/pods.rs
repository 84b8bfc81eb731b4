//! The shared watch of the sandboxes' Pods: when each was seen scheduled and running.
//!
//! One list and one watch of all Pods of sandboxes in the namespace, those of warm pools included:
//! only so is it known, on the client's own clock, that a Pod was scheduled before its claim was
//! sent. It is started by [`Client::watch_pods`]; nothing waits for it, and it delays nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::claim::{Claim, ReadyClaim};
use super::cluster::{Api, Change, Collection, Follower, Selector, Start};
use super::core::Client;
use super::error::KubeError;
use super::tasks::Tasks;
use crate::api::claim::SandboxClaim;
use crate::api::condition::{Condition, READY, find};
use crate::api::pod::{Pod, RUNNING, SCHEDULED};
use crate::api::{annotation, label};

/// When something was seen of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodMoment {
    /// Before the claim was sent: the sandbox came from a warm pool.
    BeforeClaim,
    /// At this time.
    Seen(Instant),
    /// Not so far.
    NotSeen,
}

/// When the Pod of a claim's sandbox was seen in its phases, on the client's clock. After an
/// interruption of the watch: when it was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodTimes {
    /// With a node.
    pub scheduled: PodMoment,
    /// With its containers started.
    pub running: PodMoment,
}

/// What the cluster's own clocks say of a claim and its Pod; absent where it says nothing. Times of
/// different clocks must not be subtracted from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerTimes {
    /// When the controller first saw the claim, in nanoseconds. Its clock.
    pub controller_observed: Option<SystemTime>,
    /// When the controller first found it ready, in nanoseconds. Its clock.
    pub controller_ready: Option<SystemTime>,
    /// When the node took the Pod on, in whole seconds. The node's clock.
    pub pod_accepted: Option<SystemTime>,
    /// When the last of the Pod's containers was started, in whole seconds. The node's clock.
    pub pod_started: Option<SystemTime>,
    /// When the Pod became ready, in whole seconds. The node's clock.
    pub pod_ready: Option<SystemTime>,
}

/// What was seen of one Pod.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    scheduled: Option<Instant>,
    running: Option<Instant>,
    accepted: Option<SystemTime>,
    started: Option<SystemTime>,
    ready: Option<SystemTime>,
}

impl Seen {
    fn see(&mut self, pod: &Pod, now: Instant) {
        let status = &pod.status;
        let is_scheduled = find(&status.conditions, SCHEDULED).is_some_and(Condition::is_true);
        if is_scheduled {
            self.scheduled.get_or_insert(now);
        }
        if status.phase != RUNNING {
            return;
        }
        self.running.get_or_insert(now);
        let first = |known: &mut Option<SystemTime>, text: Option<&String>| {
            *known = known.or_else(|| time(text?));
        };
        first(&mut self.accepted, status.start_time.as_ref());
        let started = status.container_statuses.iter();
        let started = started.filter_map(|one| one.state.running.as_ref()?.started_at.as_ref());
        // All are in whole seconds and in UTC, so that the order of texts is that of times.
        first(&mut self.started, started.max());
        let ready = find(&status.conditions, READY).filter(|ready| ready.is_true());
        first(
            &mut self.ready,
            ready.and_then(|ready| ready.last_transition_time.as_ref()),
        );
    }
}

/// What was seen of the Pod of one sandbox; outlives the Pod while a claim holds it.
type Record = Arc<Mutex<Seen>>;

#[derive(Debug, Clone)]
enum State {
    Reading,
    Watching,
    Refused(Arc<KubeError>),
}

/// The shared watch. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pods(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By the sandbox's name.
    records: Mutex<HashMap<String, Record>>,
    state: watch::Sender<State>,
}

impl Pods {
    fn start(api: Api, pods: Collection, tasks: &Tasks) -> Self {
        let hub = Self(Arc::new(Shared {
            records: Mutex::default(),
            state: watch::Sender::new(State::Reading),
        }));
        let selector = Selector::Labels(label::SANDBOX_NAME_HASH.to_owned());
        let follower = Follower::new(api, pods, Some(selector), Start::List);
        let worker = hub.clone();
        tasks.spawn(async move { worker.follow(follower).await });
        hub
    }

    async fn follow(self, mut follower: Follower<Pod>) {
        loop {
            match follower.next().await {
                Ok(Change::Reading) => {}
                Ok(Change::All(pods)) => {
                    self.replace(&pods);
                    self.0.state.send_replace(State::Watching);
                }
                Ok(Change::Present(pod)) => self.see(&pod),
                Ok(Change::Gone(pod)) => {
                    if let Some(sandbox) = pod.sandbox() {
                        self.records().remove(sandbox);
                    }
                }
                Err(error) => {
                    self.0.state.send_replace(State::Refused(Arc::new(error)));
                    return;
                }
            }
        }
    }

    fn replace(&self, pods: &[Pod]) {
        let names: HashSet<&str> = pods.iter().filter_map(Pod::sandbox).collect();
        // What a claim holds may be about to exist.
        self.records()
            .retain(|name, record| names.contains(name.as_str()) || Arc::strong_count(record) > 1);
        for pod in pods {
            self.see(pod);
        }
    }

    fn see(&self, pod: &Pod) {
        let now = Instant::now();
        let Some(sandbox) = pod.sandbox() else {
            return;
        };
        let record = self.record(sandbox);
        lock(&record).see(pod, now);
    }

    /// What is seen of the Pod of a sandbox, now or later.
    fn record(&self, sandbox: &str) -> Record {
        let mut records = self.records();
        if let Some(known) = records.get(sandbox) {
            return Arc::clone(known);
        }
        let record = Record::default();
        records.insert(sandbox.to_owned(), Arc::clone(&record));
        record
    }

    /// Forgets the Pod of a sandbox that has never been seen.
    fn forget_unseen(&self, sandbox: &str) {
        let mut records = self.records();
        let unseen = records
            .get(sandbox)
            .is_some_and(|record| lock(record).scheduled.is_none());
        if unseen {
            records.remove(sandbox);
        }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.0
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the making of one sandbox went, beside what its [`ReadyClaim`] tells. Goes on to learn while
/// it is held: events of Pods and annotations of claims may come after the claim is ready.
#[derive(Debug)]
pub struct Phases {
    claim: Claim,
    pod: Option<(Pods, String, Record)>,
}

impl Phases {
    /// When its Pod was seen scheduled and running; `None` if Pods are not watched
    /// ([`Client::watch_pods`]).
    pub fn pod(&self) -> Option<PodTimes> {
        let (.., record) = self.pod.as_ref()?;
        let seen = *lock(record);
        let requested = self.claim.timings().requested;
        let moment = |at: Option<Instant>| match at {
            None => PodMoment::NotSeen,
            Some(at) if at < requested => PodMoment::BeforeClaim,
            Some(at) => PodMoment::Seen(at),
        };
        Some(PodTimes {
            scheduled: moment(seen.scheduled),
            running: moment(seen.running),
        })
    }

    /// What the cluster's own clocks say.
    pub fn server(&self) -> ServerTimes {
        let seen = self.pod.as_ref().map(|(.., record)| *lock(record));
        let seen = seen.unwrap_or_default();
        let claim = self.claim.latest();
        let annotated = |key| time(claim.metadata.annotations.get(key)?);
        ServerTimes {
            controller_observed: annotated(annotation::CONTROLLER_OBSERVED_AT),
            controller_ready: annotated(annotation::FIRST_READY_AT),
            pod_accepted: seen.accepted,
            pod_started: seen.started,
            pod_ready: seen.ready,
        }
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        if let Some((pods, sandbox, _)) = &self.pod {
            pods.forget_unseen(sandbox);
        }
    }
}

impl Claim {
    /// How the making of its sandbox went, beside what the ready claim tells. To be asked for as
    /// soon as the claim is ready, and read later: what is seen meanwhile is kept.
    pub fn phases(&self, ready: &ReadyClaim) -> Phases {
        let pods = self.client().0.pods.get();
        Phases {
            claim: self.clone(),
            pod: pods.map(|pods| {
                let sandbox = ready.sandbox_name.clone();
                (pods.clone(), sandbox.clone(), pods.record(&sandbox))
            }),
        }
    }

    /// The claim as last seen.
    fn latest(&self) -> Arc<SandboxClaim> {
        let seen = self.subscription().and_then(|subscription| {
            let sighting = subscription.sightings();
            let claim = sighting.borrow().claim.clone();
            claim.filter(|seen| seen.metadata.uid == self.uid())
        });
        seen.unwrap_or_else(|| Arc::clone(self.object()))
    }
}

impl Client {
    /// Starts to watch the Pods of the namespace's sandboxes, once, and waits until it knows those
    /// that exist. From then on [`Claim::phases`] tells when a Pod was scheduled and running.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::{ClaimSource, CreateRequest, PodMoment};
    ///
    /// client.watch_pods().await?;
    /// let source = ClaimSource::WarmPool("python".to_owned());
    /// let claim = client.create(CreateRequest::new(source)).await?;
    /// let ready = claim.wait_ready(client.ready_timeout()).await?;
    /// let phases = claim.phases(&ready);
    /// if let Some(PodMoment::Seen(at)) = phases.pod().map(|pod| pod.scheduled) {
    ///     println!("scheduled after {:?}", at - claim.timings().requested);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WatchPodsError`]: the API server does not allow it, or has not told the Pods in the time
    /// of a request; in the latter case the watch goes on.
    ///
    /// # Cancel safety
    /// If dropped, the watch goes on.
    pub async fn watch_pods(&self) -> Result<(), WatchPodsError> {
        let start = || Pods::start(self.api().clone(), self.pods(), self.tasks());
        let pods = self.0.pods.get_or_init(start);
        let mut state = pods.0.state.subscribe();
        let limit = self.request_timeout();
        let told = state.wait_for(|state| !matches!(state, State::Reading));
        match timeout(limit, told).await {
            Err(_) => Err(WatchPodsError::Timeout { after: limit }),
            Ok(Err(_)) => Err(WatchPodsError::Closed),
            Ok(Ok(state)) => match &*state {
                State::Refused(error) => Err(WatchPodsError::Refused(Arc::clone(error))),
                State::Reading | State::Watching => Ok(()),
            },
        }
    }
}

impl Client {
    /// Why Pods are not watched any more, or never were, although [`Client::watch_pods`] was asked
    /// for: the API server refuses the watch itself, which shows only after the first list.
    pub fn pods_refused(&self) -> Option<WatchPodsError> {
        let pods = self.0.pods.get()?;
        match &*pods.0.state.borrow() {
            State::Refused(error) => Some(WatchPodsError::Refused(Arc::clone(error))),
            State::Reading | State::Watching => None,
        }
    }
}

/// Why it is not known when Pods are scheduled and running.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchPodsError {
    /// The API server does not allow to list or watch Pods.
    #[error("watch the pods of sandboxes")]
    Refused(#[source] Arc<KubeError>),
    /// The Pods that exist were not told in time.
    #[error("watch the pods of sandboxes: those that exist were not told within {after:?}")]
    Timeout {
        /// The time of a request.
        after: Duration,
    },
    /// The client is closed.
    #[error("watch the pods of sandboxes: the client is closed")]
    Closed,
}

fn lock(record: &Record) -> MutexGuard<'_, Seen> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn time(text: &str) -> Option<SystemTime> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(phase: &str, scheduled: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "ownerReferences": [{"kind": "Sandbox", "name": "s"}]},
            "status": {
                "phase": phase,
                "startTime": "2026-01-01T00:00:01Z",
                "conditions": [
                    {"type": "PodScheduled", "status": scheduled},
                    {"type": "Ready", "status": "True",
                     "lastTransitionTime": "2026-01-01T00:00:04Z"},
                ],
                "containerStatuses": [
                    {"state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}},
                    {"state": {"running": {"startedAt": "2026-01-01T00:00:03Z"}}},
                    {"state": {"waiting": {}}},
                ],
            },
        }))
        .expect("valid")
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_sight_of_each_phase_counts() {
        let mut seen = Seen::default();
        let first = Instant::now();
        seen.see(&pod("Pending", "False"), first);
        assert_eq!((seen.scheduled, seen.running), (None, None));
        let second = first + Duration::from_secs(1);
        seen.see(&pod("Pending", "True"), second);
        assert_eq!((seen.scheduled, seen.running), (Some(second), None));
        assert_eq!(seen.started, None);
        let third = second + Duration::from_secs(1);
        seen.see(&pod("Running", "True"), third);
        seen.see(&pod("Running", "True"), third + Duration::from_secs(1));
        assert_eq!((seen.scheduled, seen.running), (Some(second), Some(third)));
        let told = [seen.accepted, seen.started, seen.ready];
        let seconds = told.map(|told| {
            let since = told.unwrap().duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap().as_secs() % 60
        });
        assert_eq!(seconds, [1, 3, 4]);
    }
}
