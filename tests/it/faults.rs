//! What goes wrong around a run: each ends with a message that names the thing, the right exit code
//! and nothing left behind.

use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::cluster::Running;
use crate::program::{Ended, Place, ended};

fn scenario(steps: &str) -> String {
    format!(
        "version: 1\nname: faults\ntarget: {{ warmPool: p, mode: tunnel, readyTimeout: 2s }}\n\
         scenarios:\n  faults:\n    steps:\n{steps}"
    )
}

const CREATE: &str = "      - create: {}\n      - exec: echo hello\n";

async fn run(place: &Place, running: &Running, arguments: &[&str]) -> Ended {
    let mut command = place.command();
    command
        .env("KUBECONFIG", &running.kubeconfig)
        .args(arguments);
    ended(command).await
}

#[test]
fn no_kubeconfig_and_an_unknown_context_are_told() {
    let place = Place::new();
    let file = place.file("f.yaml", &scenario(CREATE));
    let file = file.to_str().unwrap();
    place
        .run(&["run", file, "--cluster", "current"])
        .assert_code(96)
        .assert_says("= help");
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: c, cluster: \
        {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: a, \
        context: {cluster: c, user: u}}]\n";
    let kubeconfig = place.file("k.yaml", config);
    let with = |arguments: &[&str]| {
        let mut command = place.command();
        Ended::of(
            &command
                .env("KUBECONFIG", &kubeconfig)
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    with(&["run", file, "--cluster", "context:b"])
        .assert_code(96)
        .assert_says("the kubeconfig has: a");
    let unreachable = with(&["run", file, "--cluster", "current"]);
    unreachable.assert_code(96).assert_says("127.0.0.1:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_certificate_and_a_revoked_token_are_told() {
    let place = Place::new();
    let running = Running::start(&place).await;
    let file = place.file("f.yaml", &scenario(CREATE));
    let file = file.to_str().unwrap();
    let good = running.cluster.kubeconfig();
    let other = sandbench::loopback::Cluster::start(sandbench::loopback::ClusterConfig::default())
        .await
        .unwrap();
    let line = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.contains(key))
            .unwrap()
            .to_owned()
    };
    let key = "certificate-authority-data:";
    let untrusted = good.replace(&line(&good, key), &line(&other.kubeconfig(), key));
    place.file("kubeconfig", &untrusted);
    let ended = run(&place, &running, &["run", file, "--cluster", "current"]).await;
    ended.assert_code(96).assert_says("certificate");
    place.file(
        "kubeconfig",
        &good.replace(&line(&good, "token:"), "    token: revoked"),
    );
    let ended = run(&place, &running, &["run", file, "--cluster", "current"]).await;
    ended.assert_code(96).assert_says("= help");
    assert!(
        !ended.stderr.contains("revoked"),
        "a token is never printed"
    );
    other.shutdown().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_runs_on_a_cluster_of_the_kubeconfig() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 2, json!({})).await;
    let file = place.file("f.yaml", &scenario(CREATE));
    let arguments = [
        "run",
        file.to_str().unwrap(),
        "--cluster",
        "context:loopback",
    ];
    run(&place, &running, &arguments)
        .await
        .assert_code(0)
        .assert_says("nothing left behind");
    let claims = running.api("extensions.agents.x-k8s.io", "v1beta1", "SandboxClaim");
    assert!(
        claims
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_pool_a_pod_that_fails_and_one_that_never_gets_ready_are_told() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running
        .pool("p", 0, json!({ "loopback.sandbench.dev/ready": "never" }))
        .await;
    running
        .pool(
            "failing",
            0,
            json!({ "loopback.sandbench.dev/phase": "Failed" }),
        )
        .await;
    let file = place.file("never.yaml", &scenario(CREATE));
    let arguments = ["run", file.to_str().unwrap(), "--cluster", "current"];
    let ended = run(&place, &running, &arguments).await;
    ended
        .assert_code(100)
        .assert_says("not done within 2s (the target's `readyTimeout`)")
        .assert_says("Pod is Running but not Ready");
    for (pool, code, reason) in [
        ("nowhere", 96, "there is: failing, p"),
        ("failing", 100, "PodFailed"),
    ] {
        let text = scenario(CREATE).replace("warmPool: p", &format!("warmPool: {pool}"));
        let file = place.file("pool.yaml", &text);
        let arguments = ["run", file.to_str().unwrap(), "--cluster", "current"];
        run(&place, &running, &arguments)
            .await
            .assert_code(code)
            .assert_says(reason);
    }
    let left = running.cluster.leftovers();
    assert_eq!((left.claims, left.sandboxes), (0, 0), "{left}");
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_dies_between_two_steps_fails_the_step() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let begun = place.path("begun");
    let steps = format!(
        "      - create: {{}}\n      - exec: sh -c 'kill -9 $$'\n        expect: {{ exitCode: -9 }}\n\
        \x20     - exec: touch {}\n      - sleep: 2s\n      - exec: echo hello\n",
        begun.display()
    );
    let file = place.file("dies.yaml", &scenario(&steps));
    let arguments = ["run", file.to_str().unwrap(), "--cluster", "current"];
    let killing = async {
        // Not before the step before the last has run: a sandbox that goes earlier is replaced.
        while !begun.exists() {
            tokio::task::yield_now().await;
        }
        let claims = running.api("extensions.agents.x-k8s.io", "v1beta1", "SandboxClaim");
        let all = claims.list(&ListParams::default()).await.unwrap().items;
        let name = all[0].data["status"]["sandbox"]["name"].as_str().unwrap();
        // The whole sandbox goes, so that no pod of the same name comes back in time.
        let sandboxes = running.api("agents.x-k8s.io", "v1beta1", "Sandbox");
        sandboxes
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    };
    let (ended, ()) = tokio::join!(run(&place, &running, &arguments), killing);
    ended.assert_code(100).assert_says("dies.yaml:");
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_dies_in_the_middle_is_counted_and_cleaned_up() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 10, json!({})).await;
    let text = scenario(CREATE).replace(
        "    steps:",
        "    timeout: 20s\n    load: { vus: 5, iterations: 300 }\n    steps:",
    );
    let file = place.file("router.yaml", &text);
    let out = format!("json={}", place.path("r.json").display());
    let arguments = [
        "run",
        file.to_str().unwrap(),
        "--cluster",
        "current",
        "--out",
        &out,
    ];
    let killing = async {
        while running.cluster.leftovers().claims == 0 {
            tokio::task::yield_now().await;
        }
        running.cluster.stop_router().await;
    };
    let (ended, ()) = tokio::join!(run(&place, &running, &arguments), killing);
    ended.assert_code(100).assert_says("nothing left behind");
    let summary = crate::program::result(&place.path("r.json"));
    let cell = &summary.cells[0];
    assert!(cell.iterations_failed > 0);
    assert_eq!(cell.iterations_passed + cell.iterations_failed, 300);
    assert_eq!(
        summary.failures.iter().map(|f| f.count).sum::<u64>(),
        cell.iterations_failed
    );
    assert_eq!(running.cluster.leftovers().claims, 0);
    assert!(running.cluster.shutdown().await.is_empty());
}
