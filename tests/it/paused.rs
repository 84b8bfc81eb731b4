//! Runs of the engine on the paused clock: minutes take as long as their requests, and no other program
//! can disturb them. Cluster, client and engine share the one thread of the test, so that the clock
//! stands still while any of them works. No step may start a process: waiting for one is idleness.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sandbench::engine::{self, CancelHandle, Events, Pacing, RunFacts};
use sandbench::loopback::ClusterConfig;
use sandbench::metrics::{RunInfo, Sinks, Summary};
use sandbench::plan::{self, Overrides, Plan};
use sandbench::scenario;
use sandbench::source::SourceFile;
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

/// The warm pool of the cluster.
pub const POOL: &str = "p";

/// The plan of a valid file.
pub fn plan(path: &Path, seed: u64) -> Plan {
    let file = Arc::new(SourceFile::load(path).unwrap());
    let (document, problems) = scenario::parse(&file);
    let told: Vec<&String> = problems.iter().map(|problem| &problem.message).collect();
    assert!(told.is_empty(), "{told:?}");
    let overrides = Overrides {
        run_id: "r-paused".to_owned(),
        seed,
        jobs: 1,
        ..Overrides::default()
    };
    plan::resolve(&document.unwrap(), &file, &overrides).unwrap()
}

/// Runs a scenario file on a cluster of its own; asserts that nothing is left.
pub async fn run(text: &str, config: ClusterConfig, seed: u64, cancel: &CancelHandle) -> Summary {
    let place = Place::new();
    let plan = plan(&place.file("t.yaml", text), seed);
    let running = Running::start_with(&place, config).await;
    running.pool(POOL, 20, json!({})).await;
    let client = client_of(&running, |builder| builder.run_id("r-paused")).await;
    let facts = RunFacts {
        info: info(),
        clients: BTreeMap::from([("default".to_owned(), client)]),
        sinks: Sinks::default(),
        pacing: Pacing::Timers,
        tracer: None,
    };
    let (events, _receiver) = Events::channel();
    let summary = engine::run(&Arc::new(plan), facts, cancel.listen(), &events).await;
    assert!(running.cluster.shutdown().await.is_empty());
    let summary = summary.unwrap();
    assert!(summary.leaks.is_empty(), "{:?}", summary.leaks);
    summary
}

fn info() -> RunInfo {
    RunInfo {
        id: String::new(),
        name: String::new(),
        file: String::new(),
        file_sha256: String::new(),
        seed: 0,
        version: String::new(),
        started_at: String::new(),
        duration_ms: 0,
        cluster: "loopback".to_owned(),
        api_version: "v1beta1".to_owned(),
        namespace: "default".to_owned(),
        machine: String::new(),
        flow_control: None,
        cores: 1,
        vars: BTreeMap::new(),
        file_text: String::new(),
        parts: Vec::new(),
    }
}
