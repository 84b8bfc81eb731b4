//! Nothing is left behind, whatever becomes of a run: a killed one is reaped or ends by itself, and
//! one that cannot clean up says so.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kube::api::ListParams;
use rustix::process::{Pid, Signal, kill_process};
use sandbench::loopback::ClusterConfig;
use serde_json::json;

use crate::cluster::Running;
use crate::program::{Ended, Place, result};

/// So many sandboxes, held by their iterations until the run is killed.
fn held(count: usize) -> String {
    format!(
        "version: 1\nname: held\ntarget: {{ warmPool: p, mode: in-cluster-pod-ip }}\n\
         scenarios:\n  held:\n    load: {{ vus: {count}, iterations: {count}, gracefulStop: 1s }}\n\
         \x20   steps:\n      - create: {{}}\n      - exec: echo hello\n      - script: touch ready-${{{{ vu.number }}}}\n\
         \x20     - sleep: 2m\n"
    )
}

/// A cluster with a pool of so many warm sandboxes.
async fn cluster(place: &Place, warm: u32) -> Running {
    let running = Running::start(place).await;
    running.pool("p", warm, json!({})).await;
    running
}

/// A cluster with a pool of one warm sandbox in which something goes wrong.
async fn faulty(place: &Place, faults: &[&str]) -> Running {
    let config = ClusterConfig {
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..ClusterConfig::default()
    };
    let running = Running::start_with(place, config).await;
    running.pool("p", 1, json!({})).await;
    running
}

fn start(place: &Place, running: &Running, arguments: &[&str]) -> Child {
    let mut command = place.command();
    command
        .env("KUBECONFIG", &running.kubeconfig)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

async fn ended(child: Child) -> Ended {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    Ended::of(&output.await.unwrap().unwrap())
}

async fn run(place: &Place, running: &Running, arguments: &[&str]) -> Ended {
    ended(start(place, running, arguments)).await
}

/// Waits until the cluster is as wanted; how long that takes is up to the machine.
async fn until(what: &str, limit: Duration, is_so: impl Fn() -> bool) {
    let became = comes_about(limit, is_so).await;
    assert!(became, "not so after {limit:?}: {what}");
}

async fn comes_about(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// How many iterations of [`held`] have their sandbox and hold it.
fn in_use(place: &Place) -> usize {
    let files = std::fs::read_dir(place.path("")).unwrap();
    files
        .filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("ready-")
        })
        .count()
}

const LONG: Duration = Duration::from_mins(2);

/// Starts a run of so many sandboxes and kills it when it has them; gives its id.
async fn killed(place: &Place, running: &Running, count: usize, more: &[&str]) -> String {
    let file = place.file("held.yaml", &held(count));
    let mut arguments = vec!["run", file.to_str().unwrap(), "--cluster", "current"];
    arguments.extend(more);
    let mut child = start(place, running, &arguments);
    if !comes_about(LONG, || in_use(place) == count).await {
        child.kill().unwrap();
        let said = Ended::of(&child.wait_with_output().unwrap());
        panic!("{} of {count} are in use: {said:?}", in_use(place));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child.wait().unwrap();
    let id = said.split_once("reap --run ").unwrap().1;
    id.split_whitespace().next().unwrap().to_owned()
}

/// Claims, and sandboxes that belong to claims.
async fn of_claims(running: &Running) -> (usize, usize) {
    let claims = running.api("extensions.agents.x-k8s.io", "v1beta1", "SandboxClaim");
    let sandboxes = running.api("agents.x-k8s.io", "v1beta1", "Sandbox");
    let bound = ListParams::default().labels("agents.x-k8s.io/claim-uid");
    let claims = claims.list(&ListParams::default()).await.unwrap();
    let sandboxes = sandboxes.list(&bound).await.unwrap();
    (claims.items.len(), sandboxes.items.len())
}

/// Kill -9 in mid-run, then `reap`.
async fn killed_and_reaped(count: usize) {
    let place = Place::new();
    let running = cluster(&place, u32::try_from(count).unwrap()).await;
    let id = killed(&place, &running, count, &[]).await;
    assert_eq!(of_claims(&running).await, (count, count));
    let to_do = ["reap", "--run", &id, "--cluster", "current", "--dry-run"];
    run(&place, &running, &to_do)
        .await
        .assert_code(0)
        .assert_says(&format!("{count} claims would be deleted"));
    assert_eq!(of_claims(&running).await, (count, count));
    let reaped = run(&place, &running, &to_do[..5]).await;
    reaped
        .assert_code(0)
        .assert_says(&format!("{count} claims deleted"));
    assert_eq!(of_claims(&running).await, (0, 0));
    run(&place, &running, &to_do[..5])
        .await
        .assert_code(0)
        .assert_says(&format!("nothing to reap: no claims of run `{id}`"));
    assert!(running.cluster.shutdown().await.is_empty());
}

/// Kill -9 in mid-run, then nothing: the time to live.
async fn killed_and_left(count: usize, time_to_live: &str) {
    let place = Place::new();
    let running = cluster(&place, u32::try_from(count).unwrap()).await;
    killed(&place, &running, count, &["--ttl", time_to_live]).await;
    assert!(running.cluster.leftovers().claims > 0);
    until("no claims", LONG, || {
        running.cluster.leftovers().claims == 0
    })
    .await;
    let started = Instant::now();
    while of_claims(&running).await != (0, 0) {
        assert!(started.elapsed() < LONG);
    }
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reap_deletes_what_a_killed_run_left_and_waits_until_it_is_gone() {
    killed_and_reaped(50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "500 sandboxes take a while; the same with 50 is in the gate"]
async fn reap_deletes_500_sandboxes_of_a_killed_run() {
    killed_and_reaped(500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_ends_by_itself_after_its_time_to_live() {
    killed_and_left(50, "10s").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "500 sandboxes take a while; the same with 50 is in the gate"]
async fn five_hundred_sandboxes_of_a_killed_run_end_by_themselves() {
    killed_and_left(500, "30s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_lives_longer_than_its_time_to_live_is_renewed_while_the_run_is_alive() {
    let place = Place::new();
    let running = cluster(&place, 1).await;
    let text = held(1).replace("sleep: 2m", "sleep: 16s\n      - exec: echo still here");
    let file = place.file("long.yaml", &text);
    let arguments = [
        "run",
        file.to_str().unwrap(),
        "--cluster",
        "current",
        "--ttl",
        "10s",
    ];
    run(&place, &running, &arguments)
        .await
        .assert_code(0)
        .assert_says("nothing left behind");
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runs_are_reaped_by_the_age_of_their_claims_and_never_without() {
    let place = Place::new();
    let running = cluster(&place, 2).await;
    killed(&place, &running, 2, &[]).await;
    let all = ["reap", "--all", "--cluster", "current", "--all-namespaces"];
    run(&place, &running, &all)
        .await
        .assert_code(2)
        .assert_says("--older-than");
    let older = |than| [all.as_slice(), &["--older-than", than]].concat();
    run(&place, &running, &older("1h"))
        .await
        .assert_code(0)
        .assert_says("nothing to reap: no claims of runs that are older than 1h in any namespace");
    assert_eq!(of_claims(&running).await.0, 2);
    // Ages are whole seconds.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    run(&place, &running, &older("1s"))
        .await
        .assert_code(0)
        .assert_says("2 claims deleted");
    assert_eq!(of_claims(&running).await, (0, 0));
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reap_says_what_it_cannot_do() {
    let place = Place::new();
    place
        .run(&["reap", "--run", "r-1", "--cluster", "loopback"])
        .assert_code(2)
        .assert_says("it ended with its run");
    place
        .run(&["reap", "--run", "r-1"])
        .assert_code(2)
        .assert_says("--cluster");
    let running = faulty(&place, &["api.delete.sandboxclaims=403"]).await;
    let id = killed(&place, &running, 1, &[]).await;
    let arguments = [
        "reap",
        "--run",
        &id,
        "--cluster",
        "current",
        "--timeout",
        "1s",
    ];
    run(&place, &running, &arguments)
        .await
        .assert_code(101)
        .assert_says("1 of 1 claims could not be deleted")
        .assert_says("left are 1 claims, 1 sandboxes");
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_listed_is_not_counted_as_nothing() {
    let place = Place::new();
    let faults = ["api.list.pods=403", "api.list.persistentvolumeclaims=403"];
    let running = faulty(&place, &faults).await;
    let file = place.file("short.yaml", &held(1).replace("2m", "1ms"));
    let out = format!("json={}", place.path("r.json").display());
    let arguments = [
        "run",
        file.to_str().unwrap(),
        "--cluster",
        "current",
        "--out",
        &out,
    ];
    run(&place, &running, &arguments)
        .await
        .assert_code(0)
        .assert_says("(not: pods, persistentvolumeclaims in namespace default)");
    let leaks = result(&place.path("r.json")).leaks;
    assert_eq!(
        leaks.not_counted,
        ["pods, persistentvolumeclaims in namespace default"]
    );
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_without_an_api_server_is_bounded_and_tells_how_to_reap() {
    let place = Place::new();
    let running = cluster(&place, 2).await;
    let file = place.file("gone.yaml", &held(2).replace("2m", "3s"));
    let out = format!("json={}", place.path("r.json").display());
    let arguments = [
        "run",
        file.to_str().unwrap(),
        "--cluster",
        "current",
        "--cleanup-timeout",
        "3s",
        "--out",
        &out,
    ];
    let child = start(&place, &running, &arguments);
    until("both sandboxes are in use", LONG, || in_use(&place) == 2).await;
    // The cluster goes while the iterations sleep; nothing answers at its address any more.
    running.cluster.shutdown().await;
    let ended = ended(child).await;
    ended
        .assert_code(101)
        .assert_says("clean-up in namespace default fails")
        .assert_says("LEAK could not look for what was left: namespace default");
    let summary = result(&place.path("r.json"));
    let reap = format!(
        "sandbench reap --run {} --cluster current --namespace default",
        summary.run.id
    );
    ended.assert_says(&reap);
    assert_eq!(summary.leaks.reap, Some(reap));
}
