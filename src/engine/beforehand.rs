//! [`Beforehand`]: what is asked of the cluster before the first cell begins, so that figures can be told
//! for what they are.

use std::collections::BTreeMap;
use std::error::Error as _;

use crate::client::{Client, CreateRequest};
use crate::metrics::{FlowControl, Warning};
use crate::plan::{Cell, Plan};

/// What is known before the first cell begins.
#[derive(Debug)]
pub(super) struct Beforehand {
    /// What will not be known of the run, and why.
    pub(super) notes: Vec<Warning>,
    /// Under which of the API server's limits the creating of claims falls.
    pub(super) flow_control: Option<FlowControl>,
}

impl Beforehand {
    pub(super) async fn look(plan: &Plan, clients: &BTreeMap<String, Client>) -> Self {
        Self {
            notes: watch_pods(plan, clients).await,
            flow_control: flow_control(plan, clients).await,
        }
    }
}

/// Starts to watch the pods of sandboxes, where the plan creates some; why it is not possible, if so.
async fn watch_pods(plan: &Plan, clients: &BTreeMap<String, Client>) -> Vec<Warning> {
    let mut notes = Vec::new();
    for (namespace, client) in clients {
        let creates = |cell: &Cell| cell.namespace == *namespace && cell.creates();
        if !plan.cells.iter().any(creates) {
            continue;
        }
        if let Err(error) = client.watch_pods().await {
            let reason = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            notes.push(Warning::PodsUnseen {
                namespace: namespace.clone(),
                reason,
            });
        }
    }
    notes
}

/// Under which of the API server's limits the creating of claims falls; unknown if it does not say, or
/// does not take dry runs.
async fn flow_control(plan: &Plan, clients: &BTreeMap<String, Client>) -> Option<FlowControl> {
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
