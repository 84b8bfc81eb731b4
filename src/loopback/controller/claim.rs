//! The claim controller: finds a Sandbox for each claim, warm or cold, and mirrors its readiness.
//!
//! Order of resolution and order of writes are upstream's. A claim without a Sandbox is looked at
//! again when what it lacks appears: its pool or template, or a pooled Sandbox that became usable.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::super::config::DelaySource;
use super::super::fault::Faults;
use super::super::json::json;
use super::super::served::ServedVersions;
use super::super::spans::SpanSink;
use super::super::store::{Event, EventKind, Key, Object, Part, Store, StoreError};
use super::adoption::{Candidate, Pool, WarmQueue, adopt, mark, pod_metadata};
use super::claim_expiry::{expire, expires_in};
use super::claim_metadata::propagate;
use super::claim_rules::{Refusal, add_env, check_metadata, merge_volumes, needs_own};
use super::claim_source::{Source, source_of};
use super::claim_status::{annotate, mirror, refuse};
use super::line::Line;
use super::sandbox::template_fields;
use super::{
    Agenda, Note, Reconciler, claims, generation, key_of, owned_by, owner_key, record, sandboxes,
};
use crate::api::{annotation, label, name_hash};
use crate::units::Rate;

/// How long a young claim waits for a pooled Sandbox that has no address yet.
const GRACE: Duration = Duration::from_secs(2);
const GRACE_POLL: Duration = Duration::from_millis(500);
/// Attempts to adopt in one look.
const ATTEMPTS: usize = 3;
/// Until the next look at a claim that a fault leaves unserved.
const FAULT_PAUSE: Duration = Duration::from_millis(200);
/// Until the next look after somebody else's write came between.
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);
/// Until the next look at a claim whose name an older Sandbox has.
const NAME_TAKEN_PAUSE: Duration = Duration::from_millis(200);
/// Until the next look at a claim whose pool or template is missing, if no event comes before.
const MISSING_PAUSE: Duration = Duration::from_mins(1);

/// How claims are served.
pub(in crate::loopback) struct ClaimSettings {
    /// Time to adopt a warm Sandbox.
    pub(in crate::loopback) adoption_delay: DelaySource,
    /// How many claims are served in a second, at the most.
    pub(in crate::loopback) capacity: Option<Rate>,
    pub(in crate::loopback) served: ServedVersions,
    /// What goes wrong.
    pub(in crate::loopback) faults: Faults,
    /// Who takes spans of the controllers.
    pub(in crate::loopback) spans: SpanSink,
}

pub(super) struct ClaimController {
    store: Store,
    served: ServedVersions,
    faults: Faults,
    spans: SpanSink,
    warm: WarmQueue,
    adoption_delay: DelaySource,
    line: Line,
    /// What is known of each claim that has no Sandbox yet, by UID.
    young: HashMap<String, Young>,
    /// Claims that lack a pool or a template.
    missing: BTreeSet<(String, String)>,
    /// Claims that wait for a pool's Sandbox, in order of arrival.
    waiting: HashMap<Pool, VecDeque<Key>>,
}

struct Young {
    seen: Instant,
    /// When it may adopt.
    due: Instant,
    /// Whether it stands in a queue of [`ClaimController::waiting`].
    queued: bool,
}

/// What a look at a claim came to.
enum Bound {
    /// The claim has this Sandbox.
    To(String),
    /// It has none and nothing is to be written yet.
    Waiting,
}

/// Why a look ended early.
pub(super) enum Failure {
    Refused(Refusal),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl ClaimController {
    pub(super) fn new(store: Store, settings: ClaimSettings) -> Self {
        Self {
            store,
            served: settings.served,
            faults: settings.faults,
            spans: settings.spans,
            warm: WarmQueue::default(),
            adoption_delay: settings.adoption_delay,
            line: Line::new(settings.capacity),
            young: HashMap::new(),
            missing: BTreeSet::new(),
            waiting: HashMap::new(),
        }
    }

    fn look(&mut self, claim: &Object, agenda: &mut Agenda) -> Result<(), StoreError> {
        let key = key_of(claim);
        if claim
            .annotation(annotation::CONTROLLER_OBSERVED_AT)
            .is_none()
        {
            annotate(&self.store, claim, annotation::CONTROLLER_OBSERVED_AT)?;
        }
        if let Some(left) = expires_in(claim) {
            if left.is_zero() {
                return expire(&self.store, claim, agenda);
            }
            agenda.after(left, &key);
        }
        if let Some(reason) = self.faults.refusal_of_claim() {
            agenda.after(FAULT_PAUSE, &key);
            let refusal = Refusal::new(reason, "the loopback cluster plays a fault");
            return refuse(&self.store, claim, &refusal);
        }
        let name = (key.namespace.clone(), key.name.clone());
        let bound = self.resolve(claim, agenda).and_then(|bound| {
            if let Bound::To(sandbox) = &bound {
                let source = source_of(&self.store, claim, self.served);
                propagate(&self.store, claim, sandbox, source)?;
            }
            Ok(bound)
        });
        match bound {
            Ok(Bound::To(sandbox)) => {
                self.missing.remove(&name);
                self.young.remove(claim.uid());
                mirror(&self.store, claim, &sandbox)
            }
            Ok(Bound::Waiting) => Ok(()),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Refused(refusal)) => {
                if refusal.reason.ends_with("NotFound") {
                    self.missing.insert(name);
                    agenda.after(MISSING_PAUSE, &key);
                }
                refuse(&self.store, claim, &refusal)
            }
        }
    }

    fn resolve(&mut self, claim: &Object, agenda: &mut Agenda) -> Result<Bound, Failure> {
        let namespace = claim.namespace();
        let named = claim.value["status"]["sandbox"]["name"].as_str();
        let picked = claim.annotation(annotation::SANDBOX_NAME);
        for name in [named, picked].into_iter().flatten() {
            let found = self.store.get(sandboxes(), namespace, name);
            if found.is_some_and(|sandbox| sandbox.is_controlled_by(claim.uid())) {
                return Ok(Bound::To(name.to_owned()));
            }
        }
        if let Some(same) = self.store.get(sandboxes(), namespace, claim.name()) {
            if same.is_controlled_by(claim.uid()) {
                return Ok(Bound::To(claim.name().to_owned()));
            }
            let name = claim.name();
            agenda.after(NAME_TAKEN_PAUSE, &key_of(claim));
            let refusal = Refusal::error(format_args!(
                "sandbox \"{name}\" is not controlled by claim \"{name}\". Please use a different \
                 claim name or delete the sandbox manually"
            ));
            return Err(refusal.into());
        }
        let Source { template, pools } = source_of(&self.store, claim, self.served)?;
        check_metadata(claim, &template)?;
        for pool in pools.into_iter().filter(|_| !needs_own(claim)) {
            if let Some(bound) = self.try_warm(claim, &template, pool, agenda)? {
                return Ok(bound);
            }
        }
        if picked.is_some() {
            self.forget_pick(claim)?;
        }
        self.start_cold(claim, &template)
    }

    /// Adopts a Sandbox of the pool; `None` if the claim is to start cold.
    fn try_warm(
        &mut self,
        claim: &Object,
        template: &Object,
        pool: Pool,
        agenda: &mut Agenda,
    ) -> Result<Option<Bound>, StoreError> {
        let now = Instant::now();
        let delay = &self.adoption_delay;
        let young = self
            .young
            .entry(claim.uid().to_owned())
            .or_insert_with(|| Young {
                seen: now,
                due: now + delay.next(),
                queued: false,
            });
        let age = now - young.seen;
        for _ in 0..ATTEMPTS {
            match self.warm.pick(&self.store, &pool) {
                Candidate::None => return Ok(None),
                Candidate::Soon if age >= GRACE => return Ok(None),
                Candidate::Soon => {
                    let key = key_of(claim);
                    agenda.after(GRACE_POLL.min(GRACE.saturating_sub(age)), &key);
                    if !std::mem::replace(&mut young.queued, true) {
                        self.waiting.entry(pool).or_default().push_back(key);
                    }
                    return Ok(Some(Bound::Waiting));
                }
                Candidate::Found(_) if young.due > now => {
                    agenda.after(young.due - now, &key_of(claim));
                    return Ok(Some(Bound::Waiting));
                }
                Candidate::Found(sandbox) => match adopt(&self.store, claim, &sandbox, template) {
                    Ok(adopted) => {
                        self.warm.forget(&adopted);
                        return Ok(Some(Bound::To(adopted.name().to_owned())));
                    }
                    Err(StoreError::Conflict) => {}
                    Err(StoreError::NotFound) => self.warm.forget(&sandbox),
                    Err(error) => return Err(error),
                },
            }
        }
        Err(StoreError::Conflict)
    }

    /// Takes back the name of a Sandbox that was picked and is gone.
    fn forget_pick(&self, claim: &Object) -> Result<(), StoreError> {
        let place = (claim.namespace(), claim.name());
        self.store.update(claims(), place, Part::Main, |value| {
            if let Some(annotations) = value["metadata"]["annotations"].as_object_mut() {
                annotations.remove(annotation::SANDBOX_NAME);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn start_cold(&self, claim: &Object, template: &Object) -> Result<Bound, Failure> {
        let mut spec = template_fields(template);
        let reference = name_hash(template.name());
        let metadata = &spec["podTemplate"]["metadata"];
        spec["podTemplate"]["metadata"] = pod_metadata(metadata, claim, json!(reference));
        add_env(&mut spec, claim, template)?;
        merge_volumes(&mut spec, claim, template)?;
        let mut sandbox = json!({
            "metadata": {
                "name": claim.name(),
                "labels": { label::TEMPLATE_REF_HASH: reference },
                "annotations": { annotation::TEMPLATE_REF: template.name() },
                "ownerReferences": owned_by(claim),
            },
            "spec": spec,
        });
        mark(&mut sandbox, claim, "cold");
        let sandbox = self.store.create(sandboxes(), claim.namespace(), sandbox)?;
        let note = Note {
            reason: "SandboxProvisioned",
            action: "Provisioning",
            text: format!("Created Sandbox \"{}\"", sandbox.name()),
            component: "sandboxclaim-controller",
        };
        record(&self.store, claim, &note);
        Ok(Bound::To(sandbox.name().to_owned()))
    }

    /// A pooled Sandbox became usable: the claim that has waited longest looks again.
    fn next_waiting(&mut self, pool: &Pool) -> Option<Key> {
        let waiting = self.waiting.get_mut(pool)?;
        let (store, young) = (&self.store, &mut self.young);
        let still_waits = |key: &Key| {
            let claim = store.get(claims(), &key.namespace, &key.name);
            let known = claim.and_then(|claim| young.get_mut(claim.uid()));
            known.is_some_and(|known| std::mem::take(&mut known.queued))
        };
        let found = std::iter::from_fn(|| waiting.pop_front()).find(still_waits);
        if waiting.is_empty() {
            self.waiting.remove(pool);
        }
        found
    }

    fn missing_in(&self, namespace: &str) -> Vec<Key> {
        let first = (namespace.to_owned(), String::new());
        let here = self
            .missing
            .range(first..)
            .take_while(|(found, _)| found == namespace);
        here.map(|(namespace, name)| Key {
            kind: "SandboxClaim",
            namespace: namespace.clone(),
            name: name.clone(),
        })
        .collect()
    }
}

impl Reconciler for ClaimController {
    const KINDS: &'static [&'static str] = &[
        "SandboxClaim",
        "Sandbox",
        "SandboxWarmPool",
        "SandboxTemplate",
    ];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        match event.object.kind.kind {
            "SandboxClaim" => {
                let key = key_of(&event.object);
                if event.kind == EventKind::Deleted {
                    self.line.leave(event.object.uid());
                    self.young.remove(event.object.uid());
                    self.missing
                        .remove(&(key.namespace.clone(), key.name.clone()));
                }
                vec![key]
            }
            "Sandbox" => {
                let improved = self.warm.learn(event);
                let of_pool = improved.and_then(|pool| self.next_waiting(&pool));
                let of_claim = owner_key(&event.object, "SandboxClaim");
                of_pool.into_iter().chain(of_claim).collect()
            }
            _ if spec_is_new(event) => self.missing_in(event.object.namespace()),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, key: &Key, agenda: &mut Agenda) {
        let claim = self.store.get(claims(), &key.namespace, &key.name);
        let Some(claim) = claim.filter(|claim| !claim.is_deleting()) else {
            agenda.forget(key);
            return;
        };
        let wait = self.line.wait(claim.uid(), Instant::now());
        if !wait.is_zero() {
            agenda.after(wait, key);
            return;
        }
        let spans = self.spans.clone();
        let looked = spans.reconcile("ReconcileSandboxClaim", &claim, || {
            self.look(&claim, agenda)
        });
        match looked {
            Ok(()) | Err(StoreError::NotFound | StoreError::NoNamespace(_)) => {}
            // Somebody else wrote in between.
            Err(StoreError::Conflict | StoreError::AlreadyExists) => {
                agenda.after(CONFLICT_PAUSE, key);
            }
            Err(error) => tracing::warn!(%error, claim = key.name, "could not serve a claim"),
        }
    }
}

/// Whether a pool or template has appeared or changed, not only its status or labels.
fn spec_is_new(event: &Event) -> bool {
    let before = event.previous.as_deref().map(generation);
    event.kind != EventKind::Deleted && before != Some(generation(&event.object))
}
