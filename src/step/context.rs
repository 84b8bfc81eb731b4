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
use crate::expr::{Bindings, Secrets, Template};

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
    /// Where `collect` writes files; none: it writes no files.
    pub artifacts: Option<PathBuf>,
    /// What must not be shown of what the cluster says.
    pub secrets: Secrets,
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
    /// The names around the used steps that run, outermost first.
    outer: Vec<Arc<Bindings>>,
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
            outer: Vec::new(),
        }
    }

    /// How many scopes of used steps are around the step that runs.
    pub fn depth(&self) -> usize {
        self.outer.len()
    }

    /// Begins a scope of used steps: names that are set in it end with it.
    pub(super) fn enter(&mut self) {
        let outer = Arc::new(std::mem::take(&mut self.bindings));
        self.bindings = outer.child();
        self.outer.push(outer);
    }

    /// Ends scopes of used steps until so many are left, also those that a time limit cut off. The
    /// sandbox that they connected to last stays the last one.
    pub fn leave_to(&mut self, depth: usize) {
        while self.outer.len() > depth
            && let Some(outer) = self.outer.pop()
        {
            let inner = std::mem::take(&mut self.bindings);
            let sandbox = inner.own("sandbox");
            // Its hold on the outer names ends, so that they need not be copied.
            drop(inner);
            self.bindings = Arc::unwrap_or_clone(outer);
            for (name, value) in sandbox {
                self.bindings.set("sandbox", name, value);
            }
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
            outer: Vec::new(),
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

    /// Claim and sandbox of the one that is named, else of all that the iteration asked for: those
    /// that it had, and those that never became ready.
    pub(super) fn claims(
        &mut self,
        which: Option<&Template>,
    ) -> Result<Vec<(String, String)>, StepError> {
        let pair = |held: &Held| {
            (
                held.claim.claim_name.clone(),
                held.claim.sandbox_name.clone(),
            )
        };
        if which.is_some() {
            return Ok(vec![pair(self.sandbox("collect", which)?)]);
        }
        let mut claims: Vec<(String, String)> = self.held.iter().map(pair).collect();
        for name in self.registrar.names() {
            if !claims.iter().any(|(claim, _)| *claim == name) {
                // A sandbox that was started for its claim has its name.
                claims.push((name.clone(), name));
            }
        }
        Ok(claims)
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
