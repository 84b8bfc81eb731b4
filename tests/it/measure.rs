//! What a run says about its own figures: create in phases, attempts, and reasons not to trust it.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use sandbench::loopback::ClusterConfig;
use sandbench::metrics::{
    CellSummary, Grain, MetricSummary, Reliability, ServerClock, Summary, Warning,
};
use serde_json::json;

use crate::cancel::{later, wait_for};
use crate::cluster::Running;
use crate::program::{Ended, Place, result};

/// The series of a metric over all steps, with this label, or with none.
fn series<'a>(
    cell: &'a CellSummary,
    metric: &str,
    label: Option<(&str, &str)>,
) -> Option<&'a MetricSummary> {
    cell.metrics.iter().find(|found| {
        let own = found.labels.iter().next();
        let own = own.map(|(tag, value)| (tag.as_str(), value.as_str()));
        found.metric == metric && found.step.is_none() && own == label
    })
}

fn samples(cell: &CellSummary, metric: &str, label: Option<(&str, &str)>) -> u64 {
    let found = series(cell, metric, label).and_then(|found| found.statistics.as_ref());
    found.map_or(0, |statistics| statistics.n)
}

fn count(cell: &CellSummary, metric: &str, label: Option<(&str, &str)>) -> u64 {
    let found = series(cell, metric, label).and_then(|found| found.value);
    found.unwrap_or(0)
}

/// Runs a scenario on a loopback cluster in this process, on which this goes wrong.
async fn run(faults: &[&str], scenario: &str) -> (Ended, Summary) {
    let place = Place::new();
    let config = ClusterConfig {
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..ClusterConfig::default()
    };
    let running = Running::start_with(&place, config).await;
    let pod = json!({ "spec": { "containers": [
        { "name": "c", "image": "i", "ports": [{ "containerPort": 8888 }] }] } });
    let template = json!({ "podTemplate": pod, "volumeClaimTemplatesPolicy": "Allowed" });
    running.create("SandboxTemplate", "t", template).await;
    let pool = json!({ "replicas": 4, "sandboxTemplateRef": { "name": "t" } });
    running.create("SandboxWarmPool", "p", pool).await;
    let text = format!(
        "version: 1\nname: t\ntarget: {{ warmPool: p, mode: direct, apiUrl: 'http://{}' }}\n\
         scenarios:\n  one:\n{scenario}",
        running.cluster.router()
    );
    let file = place.file("t.yaml", &text);
    let json = place.path("result.json");
    let mut command = tokio::process::Command::from(place.command());
    command.env("KUBECONFIG", &running.kubeconfig);
    command.args(["run", file.to_str().unwrap(), "--cluster", "current"]);
    command.args(["--out", &format!("json={}", json.display())]);
    let ended = Ended::of(&command.output().await.unwrap());
    assert!(running.cluster.shutdown().await.is_empty());
    let summary = result(&json);
    (ended, summary)
}

/// A warm sandbox, then one that is made for its claim.
const BOTH: &str = "    load: { vus: 1, iterations: 3 }\n    steps:\n      - create: {}\n      \
    - exec: \"true\"\n      - create: { volumes: [ { name: v, storage: 1Gi } ] }\n      \
    - exec: \"true\"\n";
const WARM: Option<(&str, &str)> = Some(("launchType", "warm"));
const COLD: Option<(&str, &str)> = Some(("launchType", "cold"));

#[tokio::test(flavor = "multi_thread")]
async fn create_is_told_in_phases_and_warm_and_cold_are_never_pooled() {
    let (ended, summary) = run(&[], BOTH).await;
    ended.assert_code(0);
    let cell = &summary.cells[0];
    for metric in [
        "sandbox_create_ack_duration",
        "sandbox_bound_duration",
        "sandbox_ready_duration",
        "time_to_first_exec",
        "controller_ready_duration",
    ] {
        let n = [WARM, COLD, None].map(|label| samples(cell, metric, label));
        assert_eq!(n, [3, 3, 0], "{metric}");
    }
    for (metric, before) in [
        ("sandbox_scheduled_duration", "scheduled_before_claim"),
        ("sandbox_running_duration", "running_before_claim"),
    ] {
        let n = [WARM, COLD, None].map(|label| samples(cell, metric, label));
        assert_eq!(n, [0, 3, 0], "{metric}");
        let n = [WARM, COLD].map(|label| count(cell, before, label));
        assert_eq!(n, [3, 0], "{before}");
    }
    let kubelet = series(cell, "kubelet_started_duration", COLD).unwrap();
    let grain = Grain::Second;
    assert_eq!(kubelet.clock, Some(ServerClock::Kubelet { grain }));
    assert_eq!(samples(cell, "kubelet_started_duration", WARM), 0);
    ended
        .assert_says("create: scheduled, warm")
        .assert_says("before the claim");
    let flow = summary.run.flow_control.unwrap();
    assert_eq!(flow.flow_schema, "loopback");
    assert_eq!(flow.priority_level, "loopback-level");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pods_cannot_be_watched_the_phases_are_absent_and_a_note_says_why() {
    for fault in ["api.list.pods=403", "api.watch.pods=403"] {
        let (ended, summary) = run(&[fault], BOTH).await;
        ended.assert_code(0);
        let cell = &summary.cells[0];
        assert_eq!(samples(cell, "sandbox_ready_duration", COLD), 3);
        assert_eq!(samples(cell, "sandbox_running_duration", COLD), 0);
        let notes = summary.warnings.iter();
        let notes: Vec<_> = notes
            .filter(|warning| matches!(warning, Warning::PodsUnseen { .. }))
            .map(ToString::to_string)
            .collect();
        assert_eq!(notes.len(), 1, "{fault}: {notes:?}");
        assert!(notes[0].contains("403"), "{notes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_a_sample_and_refusals_are_counted_by_cause() {
    // The first refusal is that of the dry run, before the first cell.
    let faults = ["api.create.sandboxclaims=429*4", "runtime.download=503*2"];
    let steps = "    steps:\n      - create: {}\n        retry: { attempts: 5, initialDelay: 1ms }\n      \
        - write: { path: a, content: b }\n      - read: a\n        id: r\n        retry: 3\n";
    let (ended, summary) = run(&faults, steps).await;
    ended.assert_code(0);
    let cell = &summary.cells[0];
    let cause = |cause| count(cell, "failed_attempts", Some(("cause", cause)));
    assert_eq!((cause("429"), cause("503")), (3, 2));
    assert_eq!(count(cell, "repeated_attempts", None), 5);
    let calls = |attempts| count(cell, "calls", Some(("attempts", attempts)));
    assert_eq!((calls("4"), calls("3")), (1, 1));
    assert!(calls("1") >= 1, "the file was written at once");
    let of_read = |metric: &str| {
        let mut all = cell.metrics.iter();
        let found = all.find(|found| found.metric == metric && found.step.as_deref() == Some("r"));
        found.unwrap().statistics.clone().unwrap()
    };
    assert_eq!(of_read("attempt_duration").n, 3);
    assert_eq!(of_read("first_attempt_duration").n, 1);
    let whole = of_read("read_duration");
    assert!(
        whole.max_ns >= of_read("attempt_duration").max_ns,
        "with its pauses"
    );
    let throttled = summary.warnings.iter().find_map(|warning| match warning {
        Warning::Throttled {
            requests,
            priority_level,
        } => Some((*requests, priority_level.clone())),
        _ => None,
    });
    assert_eq!(throttled, Some((3, None)), "the dry run was refused too");
    assert_eq!(summary.doubt.verdict, Reliability::Degraded);
}

#[test]
fn a_generator_that_stood_still_is_unreliable_and_ends_with_97_if_strict() {
    let place = Place::new();
    let text = "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  one:\n    load: { rate: 20/s, duration: 3s }\n    steps:\n      - sleep: 1ms\n";
    let file = place.file("t.yaml", text);
    let mut child = place.start(&["run", file.to_str().unwrap(), "--strict"]);
    wait_for(&mut child, "running");
    later(1_000);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    later(1_000);
    kill_process(pid, Signal::CONT).unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    ended
        .assert_code(97)
        .assert_says("UNRELIABLE")
        .assert_says("iterations started up to");
}

#[test]
fn a_rate_beyond_what_fits_is_dropped_told_and_adds_up() {
    let place = Place::new();
    let text = "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  one:\n    load: { rate: 5000/s, duration: 1s, maxInFlight: 10 }\n    \
        steps:\n      - sleep: 200ms\n";
    let file = place.file("t.yaml", text);
    let json = place.path("result.json");
    let out = format!("json={}", json.display());
    let ended = place.run(&["run", file.to_str().unwrap(), "--out", &out]);
    ended.assert_code(0).assert_says("found no room");
    let summary = result(&json);
    let cell = &summary.cells[0];
    let begun = cell.iterations_passed + cell.iterations_failed + cell.iterations_interrupted;
    assert_eq!(cell.iterations_planned, Some(5_000));
    assert_eq!(begun + cell.iterations_dropped, 5_000);
    assert!(
        cell.iterations_dropped > 4_000,
        "{}",
        cell.iterations_dropped
    );
    assert!(summary.doubt.verdict >= Reliability::Degraded);
}

/// The loopback cluster that a run has started: its only child.
fn child_of(pid: u32) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let all = tasks.map(|task| {
        let children = task.unwrap().path().join("children");
        std::fs::read_to_string(children).unwrap_or_default()
    });
    let text: String = all.collect();
    let first = text.split_ascii_whitespace().next().unwrap();
    Pid::from_raw(first.parse().unwrap()).unwrap()
}

#[test]
fn a_cluster_that_is_lost_for_a_while_fails_steps_by_line_and_the_recovery_shows() {
    let place = Place::new();
    let text = "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  one:\n    load: { rate: 4/s, duration: 16s, maxInFlight: 20 }\n    steps:\n      \
        - create: {}\n        timeout: 1s\n      - exec: \"true\"\n        timeout: 1s\n";
    let file = place.file("t.yaml", text);
    let json = place.path("result.json");
    let out = format!("json={}", json.display());
    let mut child = place.start(&["run", file.to_str().unwrap(), "--out", &out]);
    wait_for(&mut child, "running");
    let begun = Instant::now();
    later(3_000);
    let cluster = child_of(child.id());
    kill_process(cluster, Signal::STOP).unwrap();
    later(3_000);
    kill_process(cluster, Signal::CONT).unwrap();
    let back = begun.elapsed();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    ended.assert_code(100).assert_says("nothing left behind");
    let summary = result(&json);
    let cell = &summary.cells[0];
    let create = summary
        .failures
        .iter()
        .find(|group| group.cause == "Timeout" && group.step == "create")
        .unwrap();
    assert_eq!(create.place.line, 9, "of its `timeout`: {create:?}");
    assert!(create.count >= 2, "{create:?}");
    let all: u64 = summary.failures.iter().map(|group| group.count).sum();
    assert_eq!(all, cell.iterations_failed);
    let window = |at: u64| {
        let found = cell
            .windows
            .iter()
            .find(|w| w.from_ms <= at && at < w.to_ms);
        let found = found.unwrap();
        (found.iterations, found.failures)
    };
    assert_eq!(window(1_500).1, 0, "nothing failed before");
    let back = u64::try_from(back.as_millis()).unwrap();
    let told = || format!("back after {back} ms, {:?}: {create:?}", cell.windows);
    // What was under way has met its limit of a second, twice.
    let after = cell.windows.iter().filter(|w| w.from_ms >= back + 2_000);
    let (ended, failed) = after.fold((0, 0), |(ended, failed), w| {
        (ended + w.iterations, failed + w.failures)
    });
    assert!(ended > 8 && failed * 4 <= ended, "{}", told());
    // Not the last one: another hiccup of a busy machine is no failure to recover from this one.
    let mut after = cell.windows.iter().filter(|w| w.from_ms >= back);
    let recovered = after.any(|w| w.iterations > 0 && w.failures == 0);
    assert!(recovered, "{}", told());
    let ended = cell.iterations_passed + cell.iterations_failed + cell.iterations_interrupted;
    assert_eq!(ended + cell.iterations_dropped, 64, "the run went on");
}
