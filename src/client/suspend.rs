//! Suspending and resuming: the sandbox stays, its Pod goes and comes back.
//!
//! One merge patch says what is wanted: `operatingMode` in `v1beta1`, `replicas` in `v1alpha1`.
//! Then the Sandbox is watched until its conditions say so. Source: Python SDKs 1.0.8 and 0.4.6.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::claim::ReadyClaim;
use super::cluster::{Change, Follower, Selector, Start};
use super::core::Client;
use super::error::{KubeError, SuspendError};
use super::status::{SUSPENDED, SandboxDetails, SandboxState};
use crate::api::condition::{Condition, READY, find};
use crate::api::sandbox::Sandbox;
use crate::api::{ApiVersion, TERMINAL_REASONS};

/// The Pod under the sandbox's name is somebody else's; the controller leaves it alone.
const NOT_OWNED: &str = "PodNotOwned";

/// What a sandbox is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Suspended,
    Running,
}

/// What a sandbox's state says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Waiting,
    Reached,
    Failed { reason: String, message: String },
}

impl Client {
    /// Suspends a claim's sandbox: its Pod ends, its volumes stay. Waits until the controller says
    /// so. A sandbox that is suspended already is left as it is.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sandbench::client::ConnectionMode;
    ///
    /// client.suspend(&ready, Duration::from_secs(60)).await?;
    /// // Later: a new Pod, with another address.
    /// let ready = client.resume(&ready, Duration::from_secs(180)).await?;
    /// let mode: ConnectionMode = "in-cluster-pod-ip".parse()?;
    /// let sandbox = client.connect(&ready, &mode).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SuspendError`].
    ///
    /// # Cancel safety
    /// If dropped, the sandbox may or may not be suspended; call it again.
    pub async fn suspend(
        &self,
        claim: &ReadyClaim,
        timeout: Duration,
    ) -> Result<SandboxDetails, SuspendError> {
        let sandbox = bring(self, claim, Wanted::Suspended, timeout).await?;
        Ok(SandboxState::details_of(&sandbox))
    }

    /// Resumes a claim's sandbox and waits until it is ready. The answer has the addresses of its
    /// new Pod: connect with it. Handles of this client from before find the new Pod with their next
    /// call; those of other clients after [`Sandbox::refresh`](super::Sandbox::refresh) or a call that
    /// failed.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// client.resume(sandbox.claim(), client.ready_timeout()).await?;
    /// sandbox.commands().run("echo back").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SuspendError`].
    ///
    /// # Cancel safety
    /// If dropped, the sandbox may or may not be resumed; call it again.
    pub async fn resume(
        &self,
        claim: &ReadyClaim,
        timeout: Duration,
    ) -> Result<ReadyClaim, SuspendError> {
        let sandbox = bring(self, claim, Wanted::Running, timeout).await?;
        Ok(ReadyClaim {
            pod_ips: sandbox.pod_ips(),
            ready: Instant::now(),
            ..claim.clone()
        })
    }
}

/// Asks for a mode and waits for it.
async fn bring(
    client: &Client,
    claim: &ReadyClaim,
    wanted: Wanted,
    timeout: Duration,
) -> Result<Sandbox, SuspendError> {
    let deadline = Instant::now() + timeout;
    let name = claim.sandbox_name.as_str();
    let waiter = Waiter { name, wanted };
    let mut last = "nothing".to_owned();
    // Handles must not go on to where the sandbox was, from now on and after it has come back.
    client.moves().add(name);
    let work = async {
        let patch = wanted.patch(client.api_version());
        let patched: Result<Sandbox, KubeError> = client
            .api()
            .merge_patch(&client.sandboxes(), name, &patch)
            .await;
        let sandbox = patched.map_err(|error| waiter.kube(error))?;
        let reached = waiter.wait(client, sandbox, &mut last).await;
        client.moves().add(name);
        reached
    };
    let done = tokio::select! {
        biased;
        () = client.tasks().ended() => return Err(SuspendError::Closed {
            action: wanted.action(),
            sandbox: name.to_owned(),
        }),
        done = timeout_at(deadline, work) => done,
    };
    done.unwrap_or_else(|_| {
        Err(SuspendError::Timeout {
            action: wanted.action(),
            sandbox: name.to_owned(),
            after: timeout,
            last,
        })
    })
}

struct Waiter<'a> {
    name: &'a str,
    wanted: Wanted,
}

impl Waiter<'_> {
    /// Watches the sandbox until it is as wanted.
    async fn wait(
        &self,
        client: &Client,
        patched: Sandbox,
        last: &mut String,
    ) -> Result<Sandbox, SuspendError> {
        let generation = patched.metadata.generation;
        let uid = patched.metadata.uid.clone();
        if self.look(&patched, generation, last)? {
            return Ok(patched);
        }
        let selector = Some(Selector::Name(self.name.to_owned()));
        let mut follower: Follower<Sandbox> = Follower::new(
            client.api().clone(),
            client.sandboxes(),
            selector,
            Start::Get,
        );
        loop {
            let change = follower.next().await.map_err(|error| self.kube(error))?;
            let seen = match change {
                Change::All(mut all) => all.pop().ok_or_else(|| self.missing())?,
                Change::Present(seen) => seen,
                Change::Gone(seen) if seen.metadata.name == self.name => {
                    return Err(self.missing());
                }
                Change::Reading | Change::Gone(_) => continue,
            };
            if seen.metadata.name != self.name {
                continue;
            }
            if seen.metadata.uid != uid {
                return Err(self.missing());
            }
            if self.look(&seen, generation, last)? {
                return Ok(seen);
            }
        }
    }

    /// Whether the sandbox is as wanted.
    fn look(
        &self,
        sandbox: &Sandbox,
        generation: i64,
        last: &mut String,
    ) -> Result<bool, SuspendError> {
        if let Some(condition) = find(conditions(sandbox), self.wanted.condition()) {
            *last = condition.to_string();
        }
        match self.wanted.judge(sandbox, generation) {
            Verdict::Waiting => Ok(false),
            Verdict::Reached => Ok(true),
            Verdict::Failed { reason, message } => Err(SuspendError::Failed {
                action: self.wanted.action(),
                sandbox: self.name.to_owned(),
                reason,
                message,
            }),
        }
    }

    fn missing(&self) -> SuspendError {
        SuspendError::NotFound {
            action: self.wanted.action(),
            sandbox: self.name.to_owned(),
        }
    }

    fn kube(&self, error: KubeError) -> SuspendError {
        if error.is_not_found() {
            return self.missing();
        }
        SuspendError::Kube {
            action: self.wanted.action(),
            sandbox: self.name.to_owned(),
            source: Box::new(error),
        }
    }
}

impl Wanted {
    fn action(self) -> &'static str {
        match self {
            Self::Suspended => "suspend",
            Self::Running => "resume",
        }
    }

    /// The condition that tells most about it.
    fn condition(self) -> &'static str {
        match self {
            Self::Suspended => SUSPENDED,
            Self::Running => READY,
        }
    }

    /// What it is in the words of the cluster's version.
    fn patch(self, version: ApiVersion) -> Value {
        match (version, self) {
            (ApiVersion::V1Beta1, Self::Suspended) => {
                json!({"spec": {"operatingMode": "Suspended"}})
            }
            (ApiVersion::V1Beta1, Self::Running) => json!({"spec": {"operatingMode": "Running"}}),
            (ApiVersion::V1Alpha1, Self::Suspended) => json!({"spec": {"replicas": 0}}),
            (ApiVersion::V1Alpha1, Self::Running) => json!({"spec": {"replicas": 1}}),
        }
    }

    /// Judges by what the controller has said since the given generation.
    fn judge(self, sandbox: &Sandbox, generation: i64) -> Verdict {
        let current = |kind| {
            find(conditions(sandbox), kind).filter(|condition: &&Condition| {
                condition
                    .observed_generation
                    .is_none_or(|seen| seen >= generation)
            })
        };
        let failed = |condition: &Condition| Verdict::Failed {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        };
        let suspended = current(SUSPENDED);
        match (self, suspended, current(READY)) {
            (Self::Suspended, Some(suspended), _) if suspended.is_true() => Verdict::Reached,
            (Self::Suspended, Some(suspended), _) if suspended.reason == NOT_OWNED => {
                failed(suspended)
            }
            // Old controllers have no such condition, but count Pods.
            (Self::Suspended, None, _) if find(conditions(sandbox), SUSPENDED).is_none() => {
                let pods = sandbox.status.as_ref().and_then(|status| status.replicas);
                if pods == Some(0) {
                    Verdict::Reached
                } else {
                    Verdict::Waiting
                }
            }
            (Self::Running, suspended, Some(ready)) if ready.is_true() => {
                if suspended.is_some_and(Condition::is_true) {
                    Verdict::Waiting
                } else {
                    Verdict::Reached
                }
            }
            (Self::Running, _, Some(ready))
                if ready.is_false() && TERMINAL_REASONS.contains(&ready.reason.as_str()) =>
            {
                failed(ready)
            }
            _ => Verdict::Waiting,
        }
    }
}

fn conditions(sandbox: &Sandbox) -> &[Condition] {
    sandbox
        .status
        .as_ref()
        .map_or(&[][..], |status| status.conditions.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(status: &Value) -> Sandbox {
        serde_json::from_value(json!({"metadata": {"name": "s"}, "status": status})).expect("valid")
    }

    #[test]
    fn a_condition_from_before_the_wish_does_not_count() {
        let status = json!({"conditions": [
            {"type": "Suspended", "status": "False", "observedGeneration": 1},
            {"type": "Ready", "status": "True", "observedGeneration": 1}]});
        let seen = sandbox(&status);
        assert_eq!(Wanted::Running.judge(&seen, 2), Verdict::Waiting);
        assert_eq!(Wanted::Running.judge(&seen, 1), Verdict::Reached);
        assert_eq!(Wanted::Suspended.judge(&seen, 1), Verdict::Waiting);
    }

    #[test]
    fn an_old_controller_is_believed_when_it_counts_no_pods() {
        let ready = json!({"replicas": 1, "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(
            Wanted::Suspended.judge(&sandbox(&ready), 0),
            Verdict::Waiting
        );
        let gone = json!({"replicas": 0, "conditions": [{"type": "Ready", "status": "False"}]});
        assert_eq!(
            Wanted::Suspended.judge(&sandbox(&gone), 0),
            Verdict::Reached
        );
    }

    #[test]
    fn a_pod_of_somebody_else_is_not_waited_for() {
        let status = json!({"conditions": [{"type": "Suspended", "status": "False",
            "reason": "PodNotOwned", "message": "why"}]});
        assert!(matches!(
            Wanted::Suspended.judge(&sandbox(&status), 0),
            Verdict::Failed { .. }
        ));
    }

    #[test]
    fn each_version_has_its_own_word_for_it() {
        let patch = Wanted::Suspended.patch(ApiVersion::V1Alpha1);
        assert_eq!(patch, json!({"spec": {"replicas": 0}}));
        let patch = Wanted::Running.patch(ApiVersion::V1Beta1);
        assert_eq!(patch, json!({"spec": {"operatingMode": "Running"}}));
    }
}
