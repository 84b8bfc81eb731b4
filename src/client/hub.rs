//! The shared watch: all claims of the run, for everyone who waits for one of them.
//!
//! One list and one watch by run label serve any number of waiters. Every claim that was seen
//! keeps its last state here until it is deleted. If the API server forbids to list claims, the
//! hub says so and waiters follow their claim alone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::cluster::{Api, Change, Collection, Follower, Selector, Start};
use super::tasks::Tasks;
use crate::api::claim::SandboxClaim;
use crate::api::condition::Condition;
use crate::api::label;

/// What is known of a claim.
#[derive(Debug, Clone, Default)]
pub(super) struct Sighting {
    /// The claim as last seen.
    pub(super) claim: Option<Arc<SandboxClaim>>,
    /// Whether it was deleted after that.
    pub(super) gone: bool,
    /// When it was first seen with the name of a sandbox.
    pub(super) bound: Option<Instant>,
    /// When it was first seen ready.
    pub(super) ready: Option<Instant>,
}

impl Sighting {
    fn see(&mut self, claim: SandboxClaim, now: Instant) {
        let other = self
            .claim
            .as_ref()
            .is_some_and(|known| known.metadata.uid != claim.metadata.uid);
        if other || self.gone {
            *self = Self::default();
        }
        if self.bound.is_none() && claim.sandbox_name().is_some() {
            self.bound = Some(now);
        }
        if self.ready.is_none() && claim.ready().is_some_and(Condition::is_true) {
            self.ready = Some(now);
        }
        self.claim = Some(Arc::new(claim));
    }
}

/// Whether the shared watch works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HubState {
    /// It does, or is being set up.
    Working,
    /// The API server refuses it.
    Refused,
}

#[derive(Debug)]
struct Entry {
    sighting: watch::Sender<Sighting>,
    /// Whether the API server has confirmed that the claim exists.
    confirmed: bool,
}

/// The shared watch. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    entries: Mutex<HashMap<String, Entry>>,
    state: watch::Sender<HubState>,
    run_id: String,
}

impl Hub {
    /// Starts to follow the claims of a run.
    pub(super) fn start(api: Api, claims: Collection, run_id: &str, tasks: &Tasks) -> Self {
        let hub = Self(Arc::new(Shared {
            entries: Mutex::new(HashMap::new()),
            state: watch::Sender::new(HubState::Working),
            run_id: run_id.to_owned(),
        }));
        let selector = Selector::Labels(format!("{}={run_id}", label::RUN_ID));
        let follower = Follower::new(api, claims, Some(selector), Start::List);
        let worker = hub.clone();
        tasks.spawn(async move { worker.follow(follower).await });
        hub
    }

    /// Whether it works, and news about that.
    pub(super) fn state(&self) -> watch::Receiver<HubState> {
        self.0.state.subscribe()
    }

    /// Listens for a claim, which need not exist yet.
    pub(super) fn subscribe(&self, name: &str) -> Subscription {
        let mut entries = self.entries();
        let entry = entries.entry(name.to_owned()).or_insert_with(|| Entry {
            sighting: watch::Sender::default(),
            confirmed: false,
        });
        Subscription {
            receiver: Some(entry.sighting.subscribe()),
            name: name.to_owned(),
            hub: self.clone(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self, mut follower: Follower<SandboxClaim>) {
        let mut expected = HashSet::new();
        loop {
            match follower.next().await {
                Ok(Change::Reading) => expected = self.known(),
                Ok(Change::All(claims)) => self.replace(claims, std::mem::take(&mut expected)),
                Ok(Change::Present(claim)) => self.see(claim),
                Ok(Change::Gone(claim)) => self.lose(&claim),
                Err(error) => {
                    tracing::warn!(%error, "claims are watched one by one");
                    self.0.state.send_replace(HubState::Refused);
                    return;
                }
            }
        }
    }

    /// Names of the claims that surely exist, or did.
    fn known(&self) -> HashSet<String> {
        self.entries()
            .iter()
            .filter(|(_, entry)| {
                let sighting = entry.sighting.borrow();
                !sighting.gone && (entry.confirmed || sighting.claim.is_some())
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Takes over a complete list. What was expected but is not in it is gone.
    fn replace(&self, claims: Vec<SandboxClaim>, mut expected: HashSet<String>) {
        for claim in claims {
            expected.remove(&claim.metadata.name);
            self.see(claim);
        }
        let mut entries = self.entries();
        for name in expected {
            forget(&mut entries, &name);
        }
    }

    fn see(&self, claim: SandboxClaim) {
        let now = Instant::now();
        if claim.metadata.labels.get(label::RUN_ID) != Some(&self.0.run_id) {
            return;
        }
        let mut entries = self.entries();
        let entry = entries
            .entry(claim.metadata.name.clone())
            .or_insert_with(|| Entry {
                sighting: watch::Sender::default(),
                confirmed: true,
            });
        entry
            .sighting
            .send_modify(|sighting| sighting.see(claim, now));
    }

    fn lose(&self, claim: &SandboxClaim) {
        let mut entries = self.entries();
        let name = &claim.metadata.name;
        let same = entries.get(name).is_some_and(|entry| {
            entry.sighting.borrow().claim.as_ref().is_none_or(|known| {
                claim.metadata.uid.is_empty() || known.metadata.uid == claim.metadata.uid
            })
        });
        if same {
            forget(&mut entries, name);
        }
    }
}

/// Marks a claim as gone, and drops it if nobody listens.
fn forget(entries: &mut HashMap<String, Entry>, name: &str) {
    let Some(entry) = entries.get(name) else {
        return;
    };
    if entry.sighting.receiver_count() == 0 {
        entries.remove(name);
    } else {
        entry.sighting.send_modify(|sighting| sighting.gone = true);
    }
}

/// Listens for one claim.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Taken only when dropped.
    receiver: Option<watch::Receiver<Sighting>>,
    name: String,
    hub: Hub,
}

impl Subscription {
    /// Says that the claim exists, so that its absence from a later list means that it is gone.
    pub(super) fn confirm(&self) {
        if let Some(entry) = self.hub.entries().get_mut(&self.name) {
            entry.confirmed = true;
        }
    }

    /// What is known, and news about that.
    pub(super) fn sightings(&self) -> watch::Receiver<Sighting> {
        self.receiver.as_ref().map_or_else(
            || watch::Sender::default().subscribe(),
            watch::Receiver::clone,
        )
    }

    /// The hub it belongs to.
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut entries = self.hub.entries();
        drop(self.receiver.take());
        let over = entries.get(&self.name).is_some_and(|entry| {
            let sighting = entry.sighting.borrow();
            entry.sighting.receiver_count() == 0 && (sighting.gone || sighting.claim.is_none())
        });
        if over {
            entries.remove(&self.name);
        }
    }
}
