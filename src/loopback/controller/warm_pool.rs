//! The warm-pool controller: keeps `spec.replicas` Sandboxes ready to be adopted.
//!
//! It counts members from their events instead of listing them, so that a look at a pool costs the
//! same whatever its size. What it creates or deletes it counts at once: a later event that tells
//! the same changes nothing.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::json::{Value, json};
use super::super::store::{
    DeleteOptions, Event, EventKind, Key, Object, Part, Selector, Store, StoreError, kind,
};
use super::sandbox::template_fields;
use super::{Agenda, Reconciler, generation, is_true, key_of, owned_by, owner_key, sandboxes};
use crate::api::{annotation, label, name_hash};

/// The most Sandboxes that one look at a pool creates, as upstream.
const BATCH: usize = 300;
/// Between two batches.
const BATCH_PAUSE: Duration = Duration::from_millis(1);
/// How long a member may stay not ready before it is replaced, as upstream.
const READY_LIMIT: Duration = Duration::from_mins(5);
/// Between two searches for members that are late.
const LATE_SEARCH: Duration = Duration::from_secs(30);
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// A Sandbox of a pool.
#[derive(Debug, Clone)]
struct Member {
    ready: bool,
    /// When it was first counted; for newest first.
    since: Instant,
    /// Hash of the template's blueprint at its creation.
    blueprint: String,
}

#[derive(Debug, Default)]
struct Members {
    by_name: HashMap<String, Member>,
    /// Those that are not ready, the longest known first.
    waiting: BTreeSet<(Instant, String)>,
    /// What the next one is made of, after UID and version of the template that says so.
    next: Option<(String, u64, Value)>,
}

impl Members {
    fn set(&mut self, sandbox: &Object) {
        let ready = is_true(&sandbox.value, "Ready");
        let blueprint = sandbox.label(label::TEMPLATE_HASH).unwrap_or_default();
        let old = self.remove(sandbox.name());
        let since = old.map_or_else(Instant::now, |old| old.since);
        if !ready {
            self.waiting.insert((since, sandbox.name().to_owned()));
        }
        let member = Member {
            ready,
            since,
            blueprint: blueprint.to_owned(),
        };
        self.by_name.insert(sandbox.name().to_owned(), member);
    }

    fn remove(&mut self, name: &str) -> Option<Member> {
        let (name, old) = self.by_name.remove_entry(name)?;
        if !old.ready {
            self.waiting.remove(&(old.since, name));
        }
        Some(old)
    }

    fn ready(&self) -> usize {
        self.by_name.len() - self.waiting.len()
    }

    /// The names of those that have not been ready for too long.
    fn late(&self) -> impl Iterator<Item = &String> {
        let now = Instant::now();
        let late = move |(since, _): &&(Instant, String)| now - *since >= READY_LIMIT;
        self.waiting.iter().take_while(late).map(|(_, name)| name)
    }
}

pub(super) struct WarmPoolController {
    store: Store,
    /// Members by the UID of their pool.
    pools: HashMap<String, Members>,
    /// Which pool each pooled Sandbox was counted in.
    pool_of: HashMap<(String, String), String>,
}

impl WarmPoolController {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            pools: HashMap::new(),
            pool_of: HashMap::new(),
        }
    }

    /// Counts a Sandbox in its pool, or no longer.
    fn count(&mut self, sandbox: &Object, change: EventKind) {
        let name = (sandbox.namespace().to_owned(), sandbox.name().to_owned());
        let pool = sandbox
            .controller()
            .filter(|owner| {
                change != EventKind::Deleted
                    && owner["kind"] == "SandboxWarmPool"
                    && !sandbox.is_deleting()
            })
            .and_then(|owner| owner["uid"].as_str());
        let before = self.pool_of.get(&name).map(String::as_str);
        if before != pool
            && let Some(before) = self.pool_of.remove(&name)
        {
            self.uncount(&before, &name.1);
        }
        if let Some(pool) = pool {
            self.pools.entry(pool.to_owned()).or_default().set(sandbox);
            self.pool_of.insert(name, pool.to_owned());
        }
    }

    fn uncount(&mut self, pool: &str, name: &str) {
        if let Some(members) = self.pools.get_mut(pool) {
            members.remove(name);
            if members.by_name.is_empty() {
                self.pools.remove(pool);
            }
        }
    }

    /// What the next member is made of; made anew when the template has changed.
    fn next(&mut self, pool: &Object, template: &Object) -> Value {
        let members = self.pools.entry(pool.uid().to_owned()).or_default();
        let from = (template.uid(), template.version);
        let known = members.next.as_ref();
        if let Some((.., next)) = known.filter(|(uid, version, _)| (uid.as_str(), *version) == from)
        {
            return next.clone();
        }
        let next = Self::member(pool, template);
        members.next = Some((from.0.to_owned(), from.1, next.clone()));
        next
    }

    fn member(pool: &Object, template: &Object) -> Value {
        let template_hash = name_hash(template.name());
        let mut spec = template_fields(template);
        let metadata = &mut spec["podTemplate"]["metadata"];
        metadata["labels"][label::TEMPLATE_REF_HASH] = json!(template_hash);
        metadata["annotations"][SAFE_TO_EVICT] = json!("true");
        let pod_template = template.value["spec"]["podTemplate"].to_string();
        json!({
            "metadata": {
                "generateName": format!("{}-", pool.name()),
                "labels": {
                    label::WARM_POOL_SANDBOX: name_hash(pool.name()),
                    label::TEMPLATE_REF_HASH: template_hash,
                    label::TEMPLATE_HASH: blueprint(template),
                    label::POD_TEMPLATE_HASH: name_hash(&pod_template),
                },
                "annotations": { annotation::TEMPLATE_REF: template.name() },
                "ownerReferences": owned_by(pool),
            },
            "spec": spec,
        })
    }

    /// Creates what is missing, deletes what is too much, stale or late.
    fn scale(&mut self, pool: &Object, agenda: &mut Agenda) -> Result<(), StoreError> {
        let replicas = pool.value["spec"]["replicas"].as_u64().unwrap_or(1);
        let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
        let template = self.store.get(
            kind("SandboxTemplate"),
            pool.namespace(),
            pool.value["spec"]["sandboxTemplateRef"]["name"]
                .as_str()
                .unwrap_or_default(),
        );
        let doomed = self.doomed(pool, template.as_deref(), wanted, agenda);
        for name in doomed {
            let place = (pool.namespace(), name.as_str());
            match self
                .store
                .delete(sandboxes(), place, &DeleteOptions::default())
            {
                Ok(_) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
            self.pool_of
                .remove(&(pool.namespace().to_owned(), name.clone()));
            self.uncount(pool.uid(), &name);
        }
        let Some(template) = template else {
            return Ok(());
        };
        let there = self
            .pools
            .get(pool.uid())
            .map_or(0, |members| members.by_name.len());
        let missing = wanted.saturating_sub(there);
        if missing == 0 {
            return Ok(());
        }
        let next = self.next(pool, &template);
        for _ in 0..missing.min(BATCH) {
            let created = self
                .store
                .create(sandboxes(), pool.namespace(), next.clone())?;
            self.count(&created, EventKind::Added);
        }
        if missing > BATCH {
            agenda.after(BATCH_PAUSE, &key_of(pool));
        }
        Ok(())
    }

    /// Members to delete: of an old template under `Recreate`, not ready for too long, and
    /// surplus, those that are not ready first, then the newest.
    fn doomed(
        &self,
        pool: &Object,
        template: Option<&Object>,
        wanted: usize,
        agenda: &mut Agenda,
    ) -> Vec<String> {
        let Some(members) = self.pools.get(pool.uid()) else {
            return Vec::new();
        };
        let recreate = pool.value["spec"]["updateStrategy"]["type"] == "Recreate";
        let current = template.filter(|_| recreate).map(blueprint);
        if !members.waiting.is_empty() {
            agenda.after(LATE_SEARCH, &key_of(pool));
        }
        let mut doomed: HashSet<&String> = members.late().collect();
        if let Some(current) = current {
            let stale = members.by_name.iter();
            let stale = stale.filter(|(_, member)| member.blueprint != current);
            doomed.extend(stale.map(|(name, _)| name));
        }
        let surplus = members.by_name.len().saturating_sub(wanted);
        if surplus > doomed.len() {
            let rest = members.by_name.iter();
            let mut rest: Vec<_> = rest.filter(|(name, _)| !doomed.contains(name)).collect();
            rest.sort_by_key(|(_, member)| (member.ready, Reverse(member.since)));
            let surplus = surplus - doomed.len();
            doomed.extend(rest.into_iter().take(surplus).map(|(name, _)| name));
        }
        doomed.into_iter().cloned().collect()
    }

    fn tell(&self, pool: &Object) -> Result<(), StoreError> {
        let (replicas, ready) = self
            .pools
            .get(pool.uid())
            .map_or((0, 0), |members| (members.by_name.len(), members.ready()));
        let hash = name_hash(pool.name());
        let status = json!({
            "replicas": replicas, "readyReplicas": ready,
            "selector": format!("{}={hash}", label::WARM_POOL_SANDBOX),
            "observedGeneration": generation(pool),
        });
        if pool.value["status"] == status {
            return Ok(());
        }
        let place = (pool.namespace(), pool.name());
        self.store
            .update(kind("SandboxWarmPool"), place, Part::Status, |value| {
                value["status"] = status;
                Ok(())
            })?;
        Ok(())
    }

    fn pools_of_template(&self, template: &Object) -> Vec<Key> {
        let namespace = Some(template.namespace());
        let all = Selector::default();
        let (pools, _) = self.store.list(kind("SandboxWarmPool"), namespace, &all);
        let uses = |pool: &&std::sync::Arc<Object>| {
            pool.value["spec"]["sandboxTemplateRef"]["name"] == template.name()
        };
        pools.iter().filter(uses).map(|pool| key_of(pool)).collect()
    }
}

/// Hash of what a template makes its Sandboxes of.
fn blueprint(template: &Object) -> String {
    name_hash(&template.value["spec"].to_string())
}

impl Reconciler for WarmPoolController {
    const KINDS: &'static [&'static str] = &["SandboxWarmPool", "Sandbox", "SandboxTemplate"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        match event.object.kind.kind {
            "SandboxWarmPool" => vec![key_of(&event.object)],
            "Sandbox" => {
                self.count(&event.object, event.kind);
                let versions = [Some(&event.object), event.previous.as_ref()];
                let known = versions.into_iter().flatten();
                known
                    .filter_map(|sandbox| owner_key(sandbox, "SandboxWarmPool"))
                    .collect()
            }
            _ => self.pools_of_template(&event.object),
        }
    }

    fn reconcile(&mut self, key: &Key, agenda: &mut Agenda) {
        let pools = kind("SandboxWarmPool");
        let pool = self.store.get(pools, &key.namespace, &key.name);
        let Some(pool) = pool.filter(|pool| !pool.is_deleting()) else {
            agenda.forget(key);
            return;
        };
        let done = self.scale(&pool, agenda).and_then(|()| self.tell(&pool));
        match done {
            Ok(()) | Err(StoreError::NotFound | StoreError::NoNamespace(_)) => {}
            Err(error) => tracing::warn!(%error, pool = key.name, "could not keep a warm pool"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(store: &Store) -> BTreeSet<String> {
        let (all, _) = store.list(sandboxes(), Some("default"), &Selector::default());
        all.iter()
            .map(|sandbox| sandbox.name().to_owned())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn members_that_are_not_ready_for_five_minutes_are_replaced_and_the_others_stay() {
        let (store, _orphans) = Store::new();
        let create = |of, namespace, value| store.create(kind(of), namespace, value).unwrap();
        create(
            "Namespace",
            "",
            json!({ "metadata": { "name": "default" } }),
        );
        let template = json!({ "metadata": { "name": "t" }, "spec": { "podTemplate": {} } });
        create("SandboxTemplate", "default", template);
        let spec = json!({ "replicas": 2, "sandboxTemplateRef": { "name": "t" } });
        let pool = json!({ "metadata": { "name": "p" }, "spec": spec });
        let key = key_of(&create("SandboxWarmPool", "default", pool));
        let (mut pools, mut agenda) = (WarmPoolController::new(store.clone()), Agenda::default());
        pools.reconcile(&key, &mut agenda);
        let first = names(&store);
        assert_eq!(first.len(), 2);
        let good = first.first().unwrap();
        let place = ("default", good.as_str());
        let object = store.update(sandboxes(), place, Part::Status, |value| {
            value["status"] = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
            Ok(())
        });
        let told = Event {
            kind: EventKind::Modified,
            object: object.unwrap(),
            previous: None,
        };
        assert_eq!(pools.keys(&told).as_slice(), std::slice::from_ref(&key));
        tokio::time::advance(READY_LIMIT.saturating_sub(Duration::from_secs(1))).await;
        pools.reconcile(&key, &mut agenda);
        assert_eq!(names(&store), first);
        tokio::time::advance(Duration::from_secs(1)).await;
        pools.reconcile(&key, &mut agenda);
        let then = names(&store);
        assert_eq!((then.len(), then.intersection(&first).count()), (2, 1));
        assert!(then.contains(good));
    }
}
