//! Waiting until a claim is ready: on the shared watch, or on a watch of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::claim::{Claim, LaunchType, ReadyClaim};
use super::cluster::{Change, Follower, Selector, Start};
use super::error::{KubeError, ReadyError};
use super::hub::{HubState, Sighting, Subscription};
use super::spans;
use crate::api::TERMINAL_REASONS;
use crate::api::claim::SandboxClaim;
use crate::trace::{self, Role};

/// A claim that the shared watch has not shown after this time is asked for once.
const UNSEEN: Duration = Duration::from_secs(2);
/// The one reason that counts on any condition. Source: Python SDK 1.0.8.
const WARM_POOL_NOT_FOUND: &str = "WarmPoolNotFound";

/// What a claim's state says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Not yet.
    Waiting,
    /// It is ready.
    Ready,
    /// It never will be.
    Failed { reason: String, message: String },
    /// It is being deleted.
    Deleted,
    /// It is another claim of the same name.
    Replaced,
}

fn judge(claim: &SandboxClaim, uid: &str) -> Verdict {
    if claim.metadata.uid != uid {
        return Verdict::Replaced;
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Verdict::Deleted;
    }
    let ready = claim.ready();
    let failed = ready
        .filter(|ready| ready.is_false() && TERMINAL_REASONS.contains(&ready.reason.as_str()))
        .or_else(|| {
            let mut all = claim.conditions().iter();
            all.find(|condition| condition.reason == WARM_POOL_NOT_FOUND)
        });
    if let Some(condition) = failed {
        return Verdict::Failed {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        };
    }
    match ready {
        Some(ready) if ready.is_true() && claim.sandbox_name().is_some() => Verdict::Ready,
        _ => Verdict::Waiting,
    }
}

/// The last known state in one line.
fn describe(claim: Option<&SandboxClaim>) -> String {
    let Some(claim) = claim else {
        return "nothing".to_owned();
    };
    let bound = match claim.sandbox_name() {
        Some(name) => format!("bound to sandbox `{name}`"),
        None => "not bound to a sandbox".to_owned(),
    };
    match claim.ready() {
        Some(ready) => format!("{bound}, {ready}"),
        None => format!("{bound}, no condition Ready"),
    }
}

/// What one waiter knows.
struct Waiter<'a> {
    claim: &'a Claim,
    last: Option<Arc<SandboxClaim>>,
    bound: Option<Instant>,
}

/// Waits until the claim is ready.
pub(super) async fn wait(claim: &Claim, timeout: Duration) -> Result<ReadyClaim, ReadyError> {
    let span = trace::operation("wait_for_claim_ready");
    if span.is_recording() {
        span.set("sandbox.claim.name", claim.name().to_owned());
    }
    let waited = span.scope(wait_in_trace(claim, timeout)).await;
    span.end_as(&waited, spans::ready_error);
    waited
}

/// The same, with its phases as parts of the current span.
async fn wait_in_trace(claim: &Claim, timeout: Duration) -> Result<ReadyClaim, ReadyError> {
    let waited = wait_untraced(claim, timeout).await;
    if let Ok(ready) = &waited {
        trace::mark("bound", Role::Phase, ready.acknowledged..ready.bound);
        trace::mark("ready", Role::Phase, ready.bound..ready.ready);
        trace::set("sandbox.id", || ready.sandbox_name.clone());
        trace::set("sandbox.launch_type", || ready.launch_type.as_str());
    }
    waited
}

async fn wait_untraced(claim: &Claim, timeout: Duration) -> Result<ReadyClaim, ReadyError> {
    let deadline = Instant::now() + timeout;
    let mut waiter = Waiter {
        claim,
        last: None,
        bound: None,
    };
    let acknowledged = claim.timings().acknowledged;
    if let Some(ready) = waiter.look(Arc::clone(claim.object()), acknowledged, None)? {
        return Ok(ready);
    }
    let waited = tokio::select! {
        biased;
        () = claim.client().tasks().ended() => Err(ReadyError::Closed { claim: claim.name().to_owned() }),
        waited = timeout_at(deadline, waiter.follow()) => waited.unwrap_or_else(|_| Err(ReadyError::Timeout {
            claim: claim.name().to_owned(),
            after: timeout,
            last: String::new(),
        })),
    };
    match waited {
        Err(ReadyError::Timeout { claim, after, .. }) => Err(ReadyError::Timeout {
            claim,
            after,
            last: describe(waiter.last.as_deref()),
        }),
        other => other,
    }
}

impl Waiter<'_> {
    async fn follow(&mut self) -> Result<ReadyClaim, ReadyError> {
        if let Some(subscription) = self.claim.subscription()
            && let Some(ready) = self.follow_shared(subscription).await?
        {
            return Ok(ready);
        }
        self.follow_alone().await
    }

    /// On the shared watch; `None` if the API server refuses that.
    async fn follow_shared(
        &mut self,
        subscription: &Subscription,
    ) -> Result<Option<ReadyClaim>, ReadyError> {
        let mut sightings = subscription.sightings();
        let mut state = subscription.hub().state();
        sightings.mark_changed();
        let unseen = sleep(UNSEEN);
        tokio::pin!(unseen);
        let mut asked = false;
        loop {
            if *state.borrow_and_update() == HubState::Refused {
                return Ok(None);
            }
            tokio::select! {
                biased;
                changed = sightings.changed() => {
                    if changed.is_err() {
                        return Ok(None);
                    }
                    if let Some(ready) = self.sighted(&mut sightings).await? {
                        return Ok(Some(ready));
                    }
                }
                _ = state.changed() => {}
                () = &mut unseen, if !asked => {
                    asked = true;
                    if sightings.borrow().claim.is_none()
                        && let Some(ready) = self.ask().await?
                    {
                        return Ok(Some(ready));
                    }
                }
            }
        }
    }

    /// Looks at news from the shared watch.
    async fn sighted(
        &mut self,
        sightings: &mut watch::Receiver<Sighting>,
    ) -> Result<Option<ReadyClaim>, ReadyError> {
        let sighting = sightings.borrow_and_update().clone();
        let Some(seen) = sighting.claim else {
            if sighting.gone {
                return Err(self.deleted());
            }
            return Ok(None);
        };
        if seen.metadata.uid != self.claim.uid() {
            // It may be an older claim of the same name, whose end has not been told yet.
            return if sighting.gone {
                Ok(None)
            } else {
                self.ask().await
            };
        }
        if sighting.gone {
            return Err(self.deleted());
        }
        self.bound = self.bound.or(sighting.bound);
        self.look(seen, Instant::now(), sighting.ready)
    }

    /// Asks for the claim itself.
    async fn ask(&mut self) -> Result<Option<ReadyClaim>, ReadyError> {
        let client = self.claim.client();
        let found: Result<SandboxClaim, KubeError> =
            client.api().get(&client.claims(), self.claim.name()).await;
        match found {
            Ok(found) => self.look(Arc::new(found), Instant::now(), None),
            Err(error) if error.is_not_found() => Err(self.deleted()),
            Err(error) if error.is_forbidden() => Ok(None),
            Err(error) => Err(self.kube(error)),
        }
    }

    /// On a watch of this claim alone.
    async fn follow_alone(&mut self) -> Result<ReadyClaim, ReadyError> {
        let client = self.claim.client();
        let selector = Some(Selector::Name(self.claim.name().to_owned()));
        let mut follower: Follower<SandboxClaim> =
            Follower::new(client.api().clone(), client.claims(), selector, Start::Get);
        loop {
            let change = follower.next().await.map_err(|error| self.kube(error))?;
            let now = Instant::now();
            let seen = match change {
                Change::Reading => continue,
                Change::All(mut claims) => claims.pop().ok_or_else(|| self.deleted())?,
                Change::Present(seen) => seen,
                Change::Gone(seen) => {
                    if seen.metadata.name == self.claim.name()
                        && seen.metadata.uid == self.claim.uid()
                    {
                        return Err(self.deleted());
                    }
                    continue;
                }
            };
            if seen.metadata.name != self.claim.name() {
                continue;
            }
            if let Some(ready) = self.look(Arc::new(seen), now, None)? {
                return Ok(ready);
            }
        }
    }

    /// Judges a state that was seen now; `ready` is when that state was first seen.
    fn look(
        &mut self,
        seen: Arc<SandboxClaim>,
        now: Instant,
        ready: Option<Instant>,
    ) -> Result<Option<ReadyClaim>, ReadyError> {
        let name = || self.claim.name().to_owned();
        match judge(&seen, self.claim.uid()) {
            Verdict::Waiting => {
                if self.bound.is_none() && seen.sandbox_name().is_some() {
                    self.bound = Some(now);
                }
                self.last = Some(seen);
                Ok(None)
            }
            Verdict::Ready => Ok(Some(self.ready(&seen, ready.unwrap_or(now)))),
            Verdict::Failed { reason, message } => Err(ReadyError::Failed {
                claim: name(),
                reason,
                message,
            }),
            Verdict::Deleted => Err(self.deleted()),
            Verdict::Replaced => Err(ReadyError::Replaced { claim: name() }),
        }
    }

    fn ready(&self, seen: &SandboxClaim, ready: Instant) -> ReadyClaim {
        let claim = self.claim;
        let sandbox_name = seen.sandbox_name().unwrap_or_default().to_owned();
        claim.client().remember(seen);
        let acknowledged = claim.timings().acknowledged;
        // A watch event may overtake the answer to the creation.
        let bound = self.bound.unwrap_or(ready).min(ready).max(acknowledged);
        ReadyClaim {
            claim_name: claim.name().to_owned(),
            claim_uid: claim.uid().to_owned(),
            namespace: claim.namespace().to_owned(),
            pod_ips: seen.pod_ips(),
            launch_type: if sandbox_name == claim.name() {
                LaunchType::Cold
            } else {
                LaunchType::Warm
            },
            sandbox_name,
            acknowledged,
            bound,
            ready: ready.max(acknowledged),
        }
    }

    fn deleted(&self) -> ReadyError {
        ReadyError::Deleted {
            claim: self.claim.name().to_owned(),
        }
    }

    fn kube(&self, source: KubeError) -> ReadyError {
        ReadyError::Kube {
            claim: self.claim.name().to_owned(),
            source: Box::new(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claim(status: &serde_json::Value) -> SandboxClaim {
        serde_json::from_value(json!({"metadata": {"name": "a", "uid": "u"}, "status": status}))
            .expect("valid")
    }

    #[test]
    fn ready_needs_the_condition_and_a_name() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let bound = claim(&json!({"conditions": ready, "sandbox": {"name": "s"}}));
        assert_eq!(judge(&bound, "u"), Verdict::Ready);
        assert_eq!(judge(&bound, "other"), Verdict::Replaced);
        let unbound = claim(&json!({"conditions": ready}));
        assert_eq!(judge(&unbound, "u"), Verdict::Waiting);
    }

    #[test]
    fn every_terminal_reason_fails_at_once_and_transient_ones_do_not() {
        for reason in TERMINAL_REASONS {
            let seen = claim(&json!({"conditions": [
                {"type": "Ready", "status": "False", "reason": reason, "message": "why"}]}));
            assert_eq!(
                judge(&seen, "u"),
                Verdict::Failed {
                    reason: reason.to_owned(),
                    message: "why".to_owned()
                }
            );
        }
        for reason in [
            "AdoptionConflict",
            "SandboxNotReady",
            "DependenciesNotReady",
        ] {
            let seen = claim(&json!({"conditions": [
                {"type": "Ready", "status": "False", "reason": reason}]}));
            assert_eq!(judge(&seen, "u"), Verdict::Waiting, "{reason}");
        }
    }

    #[test]
    fn a_missing_pool_is_seen_on_any_condition() {
        let seen = claim(&json!({"conditions": [
            {"type": "Progress", "status": "Unknown", "reason": "WarmPoolNotFound"}]}));
        assert!(matches!(judge(&seen, "u"), Verdict::Failed { .. }));
    }

    #[test]
    fn the_last_state_names_condition_and_reason() {
        let seen = claim(&json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "SandboxNotReady", "message": "pulling"}]}));
        assert_eq!(
            describe(Some(&seen)),
            "not bound to a sandbox, Ready=False, reason SandboxNotReady: pulling"
        );
    }
}
