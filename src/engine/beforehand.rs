//! What is asked of the cluster before the first cell begins, so that figures can be told for what they
//! are: when pods come up, and under which of the API server's limits creates fall.

use std::collections::BTreeMap;
use std::error::Error as _;

use crate::client::{Client, CreateRequest, WatchPodsError};
use crate::metrics::{FlowControl, Warning};
use crate::plan::{Cell, Plan};

/// Starts to watch the pods of sandboxes, where the plan creates some; why it is not possible, if so.
pub(super) async fn watch_pods(plan: &Plan, clients: &BTreeMap<String, Client>) -> Vec<Warning> {
    let mut notes = Vec::new();
    for (namespace, client) in clients {
        let creates = |cell: &Cell| cell.namespace == *namespace && cell.creates();
        if !plan.cells.iter().any(creates) {
            continue;
        }
        if let Err(error) = client.watch_pods().await {
            notes.push(unseen(namespace, &error));
        }
    }
    notes
}

/// Of which pods nothing is known, and why; that a watch is refused may show only after a while.
pub(super) fn pods_unseen(
    mut early: Vec<Warning>,
    clients: &BTreeMap<String, Client>,
) -> Vec<Warning> {
    for (namespace, client) in clients {
        let late = client.pods_refused();
        let late = late.map(|error| unseen(namespace, &error));
        if let Some(late) = late.filter(|late| !early.contains(late)) {
            early.push(late);
        }
    }
    early
}

fn unseen(namespace: &str, error: &WatchPodsError) -> Warning {
    let reason = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Warning::PodsUnseen {
        namespace: namespace.to_owned(),
        reason,
    }
}

/// Under which of the API server's limits the creating of claims falls; unknown if it does not say, or
/// does not take dry runs.
pub(super) async fn flow_control(
    plan: &Plan,
    clients: &BTreeMap<String, Client>,
) -> Option<FlowControl> {
    let cell = plan.cells.iter().find(|cell| cell.uses_target_source())?;
    let source = cell.target.source.clone()?;
    let client = clients.get(&cell.namespace)?;
    match client.flow_control(CreateRequest::new(source)).await {
        Ok(found) => found.map(|found| FlowControl {
            flow_schema: found.flow_schema,
            priority_level: found.priority_level,
        }),
        Err(error) => {
            tracing::debug!(%error, "the priority level of requests is not known");
            None
        }
    }
}

/// Requests that the API server refused as too many, of all clients.
pub(super) fn throttled(clients: &BTreeMap<String, Client>) -> u64 {
    let clients = clients.values();
    clients.map(|client| client.attempts().throttled).sum()
}
