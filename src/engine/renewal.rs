//! [`Renewal`]: winds up the dead man's switch of claims that live longer than their time to live.
//!
//! Every claim has an end of its own, so that a killed run leaves nothing for long. One task per
//! namespace lists the run's claims now and then and gives those that end soon more time. Its first
//! look comes when the first claim could end soon: a run that is shorter asks nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::sweep::chain;
use crate::client::Client;
use crate::metrics::Warning;
use crate::plan::Plan;

/// A claim is renewed when half of its time is over, or this much is left if that is less.
const SOON: Duration = Duration::from_mins(5);

/// The tasks; they end with [`Renewal::finish`].
#[derive(Debug)]
pub(super) struct Renewal {
    tasks: JoinSet<Failed>,
    over: CancellationToken,
}

/// What could not be renewed.
#[derive(Debug, Default)]
struct Failed {
    /// Renewals that failed; one for each time at which claims could not even be listed.
    times: u64,
    /// Why the first of them did.
    reason: Option<String>,
}

impl Renewal {
    /// Starts a task for every namespace of the plan.
    pub(super) fn start(plan: &Plan, clients: &BTreeMap<String, Client>) -> Self {
        let over = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (namespace, client) in clients {
            let cells = plan.cells.iter();
            let times = cells
                .filter(|cell| cell.namespace == *namespace)
                .map(|cell| cell.target.time_to_live);
            if let Some(shortest) = times.min() {
                tasks.spawn(renew(client.clone(), shortest, over.clone()));
            }
        }
        Self { tasks, over }
    }

    /// Ends the tasks; tells what could not be renewed.
    pub(super) async fn finish(mut self) -> Option<Warning> {
        self.over.cancel();
        let mut all = Failed::default();
        while let Some(ended) = self.tasks.join_next().await {
            // One that panicked renewed nothing more; claims that ended early are failures.
            let failed = ended.unwrap_or_default();
            all.times += failed.times;
            all.reason = all.reason.or(failed.reason);
        }
        all.reason.map(|reason| Warning::NotRenewed {
            times: all.times,
            reason,
        })
    }
}

async fn renew(client: Client, time_to_live: Duration, over: CancellationToken) -> Failed {
    let soon = SOON.min(time_to_live / 2);
    let mut failed = Failed::default();
    let mut pause = time_to_live.saturating_sub(soon);
    loop {
        let looked = over.run_until_cancelled(async {
            sleep(pause).await;
            client.renew_claims_of_run(soon).await
        });
        let (times, reason) = match looked.await {
            None => return failed,
            Some(Ok(renewed)) => (
                renewed.failed as u64,
                renewed.failure.map(|error| chain(&error)),
            ),
            Some(Err(error)) => (1, Some(chain(&error))),
        };
        failed.times += times;
        failed.reason = failed.reason.or(reason);
        // Twice before a claim that ends soon would end.
        pause = soon / 2;
    }
}
