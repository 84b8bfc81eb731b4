//! Faults that a loopback cluster plays: seeded, counted, switchable while it runs.
//!
//! A [`Fault`] is written `PLACE=EFFECT[@SHARE][*TIMES]`, for example `api.create.sandboxclaims=429(1s)*3`:
//! the first three creations of a claim are refused with `Retry-After: 1`. Each server asks
//! [`Faults`] about each request; what it plays is counted, so that a test can tell a fault that
//! was survived from one that never came.

mod body;
mod effect;
mod place;
mod spec;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::http::Body;
pub(super) use effect::Abort;
pub(super) use place::Server;
use spec::Effect;
pub use spec::{Fault, ParseFaultError};

/// The faults of one cluster. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: StdRng,
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    played: u64,
}

impl Default for Faults {
    /// None.
    fn default() -> Self {
        Self::new(Vec::new(), 0)
    }
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            armed: Vec::new(),
        };
        let all = Self(Arc::new(Mutex::new(state)));
        all.set(faults);
        all
    }

    /// Plays these from now on, and no others; the counts begin anew.
    pub(super) fn set(&self, faults: Vec<Fault>) {
        self.state().armed = faults
            .into_iter()
            .map(|fault| Armed { fault, played: 0 })
            .collect();
    }

    /// How often each was played.
    pub(super) fn played(&self) -> Vec<(Fault, u64)> {
        let state = self.state();
        let counts = state.armed.iter();
        counts
            .map(|armed| (armed.fault.clone(), armed.played))
            .collect()
    }

    /// A handler that plays the faults of a server around another one.
    pub(super) fn around<H, F>(
        &self,
        server: Server,
        handler: H,
    ) -> impl Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let faults = self.clone();
        move |request| -> Answer {
            match faults.choose(server, &request) {
                None => Box::pin(handler(request)),
                Some(fault) => {
                    let handler = handler.clone();
                    Box::pin(effect::play(fault, server, request, handler))
                }
            }
        }
    }

    /// The first fault that fits and whose turn it is.
    fn choose(&self, server: Server, request: &Request<Incoming>) -> Option<Fault> {
        self.take(server, || place::words(server, request))
    }

    /// The reason for which a claim is not served now, if a fault gives one.
    pub(super) fn refusal_of_claim(&self) -> Option<String> {
        let chosen = self.take(Server::Controller, || vec!["claim".to_owned()])?;
        match chosen.effect {
            Effect::Reason(reason) => Some(reason),
            _ => None,
        }
    }

    fn take(&self, server: Server, words: impl FnOnce() -> Vec<String>) -> Option<Fault> {
        let mut state = self.state();
        let State { rng, armed } = &mut *state;
        if armed.is_empty() {
            return None;
        }
        let words = words();
        let chosen = armed
            .iter_mut()
            .filter(|armed| armed.fault.fits(server, &words))
            .filter(|armed| armed.fault.times.is_none_or(|times| armed.played < times))
            .find(|armed| rng.random::<f64>() < armed.fault.share.as_f64())?;
        chosen.played += 1;
        Some(chosen.fault.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way.
pub(super) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
