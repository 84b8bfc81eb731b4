//! The end of a run: what is still there is deleted and waited for; what stays is counted.
//!
//! All of it has one deadline, also while the API server does not answer: then it is asked again
//! until the deadline, and what is left is unknown, which is not zero.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::cleanup::CleanUps;
use super::event::{Events, RunEvent};
use crate::client::{Client, DeleteError, Leftovers};
use crate::metrics::Leaks;

/// The first pause between two looks; each later one is twice as long.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(1);
/// How long nothing must be seen before it is believed, if a creation was cut off on its way: it
/// may still arrive.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the end of connections is waited for.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Deletes what is still there, in all namespaces at the same time, and waits until it is gone.
///
/// The clean-ups of the iterations say how long all of that may take, and whether a creation was
/// cut off.
pub(super) async fn sweep(
    clients: &BTreeMap<String, Client>,
    cleanups: &CleanUps,
    events: &Events,
) -> Leaks {
    let (limit, doubtful) = (cleanups.limit(), cleanups.doubtful());
    let deadline = Instant::now() + limit;
    let sweeping = clients.iter().map(|(namespace, client)| {
        let sweep = Sweep {
            namespace,
            client,
            settle: if doubtful > 0 { SETTLE } else { Duration::ZERO },
            limit,
            deadline,
            events,
        };
        sweep.run()
    });
    let mut leaks = Leaks::default();
    let mut unknown = Vec::new();
    for (namespace, found) in clients.keys().zip(join_all(sweeping).await) {
        match found {
            Ok(left) => add(&mut leaks, namespace, left),
            Err(reason) => unknown.push(format!("namespace {namespace}: {reason}")),
        }
    }
    if !unknown.is_empty() {
        leaks.unknown = Some(unknown.join("; "));
    }
    for client in clients.values() {
        // What does not end in time is counted.
        let _in_time = timeout(CLOSE_LIMIT, client.close()).await;
        let forwards = client.open_tunnels();
        // A port-forward is a socket too.
        let sockets = client.open_connections().saturating_sub(forwards);
        leaks.port_forwards += forwards as u64;
        leaks.connections += sockets as u64;
    }
    leaks
}

/// The end of a run in one namespace.
struct Sweep<'a> {
    namespace: &'a str,
    client: &'a Client,
    settle: Duration,
    limit: Duration,
    deadline: Instant,
    events: &'a Events,
}

impl Sweep<'_> {
    /// Deletes and looks until nothing is left or the time is up; gives what was seen last, or why
    /// nothing could be seen.
    async fn run(self) -> Result<Leftovers, String> {
        let mut pause = SHORTEST;
        let mut clean_since: Option<Instant> = None;
        let mut told = false;
        let mut last = Err("the API server does not answer".to_owned());
        loop {
            let looked = timeout_at(self.deadline, self.look()).await;
            let seen = match looked {
                Ok(Ok(left)) => Ok(left),
                Ok(Err(error)) => Err(chain(&error)),
                // Cut off by the deadline: what was seen before still holds.
                Err(_) => return last,
            };
            match &seen {
                Ok(left) if left.is_empty() => {
                    let since = clean_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.settle {
                        return seen;
                    }
                }
                Ok(_) => clean_since = None,
                Err(reason) => {
                    clean_since = None;
                    if !told {
                        told = true;
                        self.events.tell(RunEvent::CleanUpFails {
                            namespace: self.namespace.to_owned(),
                            reason: reason.clone(),
                            limit: self.limit,
                        });
                    }
                }
            }
            if Instant::now() >= self.deadline {
                return seen;
            }
            last = seen;
            sleep_until(self.deadline.min(Instant::now() + pause)).await;
            pause = LONGEST.min(pause * 2);
        }
    }

    /// Deletes the claims that are there and counts everything.
    async fn look(&self) -> Result<Leftovers, DeleteError> {
        self.client.delete_claims_of_run().await?;
        self.client.leftovers().await
    }
}

fn add(leaks: &mut Leaks, namespace: &str, left: Leftovers) {
    let count = |count: Option<usize>| count.unwrap_or(0) as u64;
    leaks.claims += left.claims as u64;
    leaks.sandboxes += count(left.sandboxes);
    leaks.pods += count(left.pods);
    leaks.volumes += count(left.volumes);
    leaks.services += count(left.services);
    leaks.endpoint_slices += count(left.endpoint_slices);
    let not_counted = left.not_counted();
    if !not_counted.is_empty() {
        let kinds = not_counted.join(", ");
        leaks
            .not_counted
            .push(format!("{kinds} in namespace {namespace}"));
    }
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        // Some libraries repeat their source in their own text.
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    text
}
