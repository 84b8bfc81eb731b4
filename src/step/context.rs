//! [`StepContext`]: what the steps of one iteration share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::exchange::HttpConnections;
use super::{AttemptLog, Registrar, StepError};
use crate::client::{ClaimSource, Client, ConnectionMode, ReadyClaim, Sandbox};
use crate::expr::{Bindings, Template};

/// What the steps are pointed at; the same for all iterations of a cell.
#[derive(Debug, Clone)]
pub struct StepTarget {
    /// What sandboxes are made from, where a step says nothing else.
    pub source: Option<ClaimSource>,
    /// How sandboxes are reached.
    pub mode: ConnectionMode,
    /// After which a claim goes by itself, whatever becomes of us.
    pub time_to_live: Duration,
    /// How long a claim may take to be ready, where a step says nothing else.
    pub ready_timeout: Duration,
    /// The directory of the scenario file: local programs run in it.
    pub directory: PathBuf,
    /// Connections of `http` steps.
    pub http: HttpConnections,
}

/// A sandbox of the iteration.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: Option<Arc<str>>,
    pub(super) claim: ReadyClaim,
    pub(super) connection: Option<Sandbox>,
    /// When the claim was asked for.
    pub(super) requested: Instant,
    pub(super) executed: bool,
    /// Whether a step deleted it. It can still be waited for.
    pub(super) deleted: bool,
    /// How often a step changed its claim or its connection: whose state is the newer one.
    pub(super) changes: u32,
}

/// What the steps of one iteration share.
#[derive(Debug)]
pub struct StepContext {
    pub(super) client: Client,
    pub(super) target: Arc<StepTarget>,
    /// What names mean.
    pub bindings: Bindings,
    pub(super) registrar: Arc<Registrar>,
    pub(super) held: Vec<Held>,
    /// What the client attempts for the step that runs.
    pub attempts: Arc<AttemptLog>,
    pub(super) rng: SmallRng,
}

impl StepContext {
    /// A fresh context; `seed` fixes everything random in it.
    pub fn new(
        client: Client,
        target: Arc<StepTarget>,
        bindings: Bindings,
        registrar: Arc<Registrar>,
        seed: u64,
    ) -> Self {
        Self {
            client,
            target,
            bindings,
            registrar,
            held: Vec::new(),
            attempts: Arc::default(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// The claim and sandbox that a failure is about: those of the last sandbox.
    pub fn current(&self) -> Option<(&str, &str, &str)> {
        let held = self.held.last()?;
        Some((
            &held.claim.namespace,
            &held.claim.claim_name,
            &held.claim.sandbox_name,
        ))
    }

    /// A context for a step that runs beside others. What it changes is taken over by
    /// [`StepContext::join`].
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self {
            client: self.client.clone(),
            target: Arc::clone(&self.target),
            bindings: Arc::new(self.bindings.clone()).child(),
            registrar: Arc::clone(&self.registrar),
            held: self.held.clone(),
            attempts: Arc::default(),
            rng: SmallRng::seed_from_u64(self.rng.random()),
        }
    }

    /// Takes over what a fork of it did: names, sandboxes and what became of those from before.
    pub fn join(&mut self, fork: Self, before: usize) {
        self.bindings.absorb(fork.bindings);
        let mut theirs = fork.held.into_iter();
        for (own, their) in self.held.iter_mut().take(before).zip(&mut theirs) {
            let executed = own.executed || their.executed;
            if their.changes > own.changes {
                *own = their;
            }
            own.executed = executed;
        }
        self.held.extend(theirs);
    }

    /// How many sandboxes the iteration has had so far.
    pub fn sandboxes(&self) -> usize {
        self.held.len()
    }

    /// Drops every connection.
    pub async fn disconnect(&mut self) {
        for held in &mut self.held {
            if let Some(connection) = held.connection.take() {
                connection.disconnect().await;
            }
        }
    }

    /// Lets `${{ sandbox.… }}` mean this sandbox from now on.
    pub(super) fn bind_sandbox(&mut self, claim: &ReadyClaim) {
        for (name, value) in [
            ("name", &claim.sandbox_name),
            ("claim", &claim.claim_name),
            ("namespace", &claim.namespace),
        ] {
            self.bindings.set("sandbox", name, value.as_str());
        }
    }

    /// The sandbox that a step is about: the one it names, else the last one.
    pub(super) fn sandbox(
        &mut self,
        action: &'static str,
        which: Option<&Template>,
    ) -> Result<&mut Held, StepError> {
        let which = which
            .map(|which| which.render(&self.bindings))
            .transpose()?;
        let found = match &which {
            Some(id) => self
                .held
                .iter_mut()
                .rev()
                .find(|held| held.id.as_deref() == Some(&**id)),
            None => self.held.last_mut(),
        };
        found.ok_or_else(|| StepError::NoSandbox {
            action,
            which: which.map(|id| id.to_string()),
        })
    }

    /// The connection to the sandbox that a step is about.
    pub(super) fn connection(
        &mut self,
        action: &'static str,
        which: Option<&Template>,
    ) -> Result<Sandbox, StepError> {
        let held = self.sandbox(action, which)?;
        if held.deleted {
            return Err(StepError::SandboxDeleted { action });
        }
        held.connection
            .clone()
            .ok_or(StepError::NotConnected { action })
    }
}
