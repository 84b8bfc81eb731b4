//! The real `kubectl` against the loopback cluster. `.ci/run` makes sure that there is one.

use std::net::SocketAddr;
use std::process::{Output, Stdio};

use sandbench::loopback::{ClusterConfig, ServedVersions};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::cluster::Running;
use crate::program::Place;

const OBJECTS: &str = "apiVersion: extensions.agents.x-k8s.io/v1beta1\nkind: SandboxTemplate\n\
metadata: {name: t}\nspec: {podTemplate: {spec: {containers: [{name: c, image: i}]}}}\n---\n\
apiVersion: extensions.agents.x-k8s.io/v1beta1\nkind: SandboxWarmPool\nmetadata: {name: p}\n\
spec: {replicas: 2, sandboxTemplateRef: {name: t}}\n---\n\
apiVersion: extensions.agents.x-k8s.io/v1beta1\nkind: SandboxClaim\nmetadata: {name: c1}\n\
spec: {warmPoolRef: {name: p}}\n";

const WARM_CLAIM: &str = "apiVersion: extensions.agents.x-k8s.io/v1beta1\nkind: SandboxClaim\n\
metadata: {name: c2}\nspec: {warmPoolRef: {name: p}}\n";

struct Kubectl<'a> {
    place: &'a Place,
    running: &'a Running,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--cache-dir")
            .arg(self.place.path("cache"))
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", &self.running.kubeconfig)
            .env("NO_PROXY", "127.0.0.0/8")
            .stdin(Stdio::null());
        command
    }

    async fn output(&self, arguments: &str) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// The output of a command that must succeed.
    async fn says(&self, arguments: &str) -> String {
        let output = self.output(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

async fn has_kubectl() -> bool {
    let output = Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .await;
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_waits_shows_and_deletes() {
    if !has_kubectl().await {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs a kubectl on the PATH"
        );
        return;
    }
    let place = Place::new();
    let running = Running::start(&place).await;
    let kubectl = Kubectl {
        place: &place,
        running: &running,
    };
    let file = place.file("objects.yaml", OBJECTS);
    let file = file.to_str().unwrap();
    let applied = kubectl.says(&format!("apply -f {file}")).await;
    assert_eq!(
        applied
            .lines()
            .filter(|line| line.ends_with("created"))
            .count(),
        3,
        "{applied}"
    );
    kubectl
        .says("wait --for=condition=Ready sandboxclaim/c1 --timeout=20s")
        .await;
    let again = kubectl.says(&format!("apply -f {file}")).await;
    assert_eq!(
        again
            .lines()
            .filter(|line| line.ends_with("unchanged"))
            .count(),
        3,
        "{again}"
    );
    let claims = kubectl.says("get sandboxclaims -A").await;
    assert!(
        claims.contains("READY") && claims.contains("DependenciesReady"),
        "{claims}"
    );
    assert!(
        kubectl
            .says("get sandboxes -o wide")
            .await
            .contains("POD IP")
    );
    a_warm_claim_is_described(&kubectl).await;
    assert!(kubectl.says("get pods").await.contains("1/1"));
    kubectl.says("label sandboxclaim c1 team=a").await;
    assert!(
        kubectl
            .says("get sandboxclaims -l team=a -o name")
            .await
            .contains("c1")
    );
    kubectl.says("scale swp p --replicas=3").await;
    assert_eq!(
        kubectl.says("get swp p -o jsonpath={.spec.replicas}").await,
        "3"
    );
    assert!(
        kubectl
            .says("api-resources")
            .await
            .contains("sandboxwarmpools")
    );
    kubectl.says("delete sandboxclaim c1 --timeout=20s").await;
    let missing = kubectl.output("get sandboxclaim c1").await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("NotFound"));
    assert!(running.cluster.shutdown().await.is_empty());
}

async fn a_warm_claim_is_described(kubectl: &Kubectl<'_>) {
    let filled = "--for=jsonpath={.status.readyReplicas}=2";
    kubectl
        .says(&format!("wait {filled} swp/p --timeout=20s"))
        .await;
    let warm = kubectl.place.file("warm.yaml", WARM_CLAIM);
    kubectl
        .says(&format!("create -f {}", warm.to_str().unwrap()))
        .await;
    kubectl
        .says("wait --for=condition=Ready sandboxclaim/c2 --timeout=20s")
        .await;
    let described = kubectl.says("describe sandboxclaim c2").await;
    assert!(described.contains("SandboxAdopted"), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_watches_sandboxes_come() {
    if !has_kubectl().await {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs a kubectl on the PATH"
        );
        return;
    }
    let place = Place::new();
    let running = Running::start(&place).await;
    let kubectl = Kubectl {
        place: &place,
        running: &running,
    };
    let mut watching = kubectl
        .command("get sandboxes -o wide -w")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    running.pool("p", 1, json!({})).await;
    let stdout = watching.stdout.take().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    let mut seen = String::new();
    while !seen.contains("DependenciesReady") {
        seen += &lines
            .next_line()
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("ended: {seen}"));
    }
    watching.kill().await.unwrap();
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_forwards_many_connections_to_the_router_in_one_session() {
    if !has_kubectl().await {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs a kubectl on the PATH"
        );
        return;
    }
    let place = Place::new();
    let running = Running::start(&place).await;
    let kubectl = Kubectl {
        place: &place,
        running: &running,
    };
    // In a WebSocket, as from 1.31 on, and plain, as before.
    for websockets in ["true", "false"] {
        let mut forwarding = kubectl
            .command("port-forward -n agent-sandbox-system svc/sandbox-router-svc :8080")
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = forwarding.stdout.take().unwrap();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
        let line = lines.next_line().await.unwrap().unwrap();
        // Forwarding from 127.0.0.1:40001 -> 8080
        let address: SocketAddr = line.split(' ').nth(2).unwrap().parse().unwrap();
        let calls: Vec<_> = (0..20).map(|_| health(address)).collect();
        for answer in futures::future::join_all(calls).await {
            assert!(answer.contains("\"status\":\"ok\""), "{answer}");
        }
        forwarding.kill().await.unwrap();
    }
    let missing = kubectl.output("port-forward pod/nowhere :8080").await;
    let stderr = String::from_utf8_lossy(&missing.stderr);
    assert!(stderr.contains("NotFound"), "{stderr}");
    assert!(running.cluster.shutdown().await.is_empty());
}

/// The router's answer to `GET /healthz`, whole.
async fn health(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: router\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const OLD_CLAIM: &str = "apiVersion: extensions.agents.x-k8s.io/v1alpha1\nkind: SandboxClaim\n\
metadata: {name: old}\nspec: {sandboxTemplateRef: {name: t}, warmpool: none}\n";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_each_api_version_as_it_is_written_in_it() {
    if !has_kubectl().await {
        return;
    }
    let place = Place::new();
    let config = ClusterConfig {
        served: ServedVersions::Both,
        ..ClusterConfig::default()
    };
    let running = Running::start_with(&place, config).await;
    let kubectl = Kubectl {
        place: &place,
        running: &running,
    };
    for (name, objects) in [("new.yaml", OBJECTS), ("old.yaml", OLD_CLAIM)] {
        let file = place.file(name, objects);
        let applied = kubectl
            .output(&format!("apply -f {}", file.display()))
            .await;
        let warned = String::from_utf8_lossy(&applied.stderr)
            .contains("v1alpha1 SandboxClaim is deprecated");
        assert_eq!(
            (applied.status.success(), warned),
            (true, name == "old.yaml")
        );
    }
    kubectl
        .says("wait --for=condition=Ready sandboxclaim/old --timeout=20s")
        .await;
    let spec = |version: &str| {
        format!("get sandboxclaims.{version}.extensions.agents.x-k8s.io old -o jsonpath={{.spec}}")
    };
    let old = kubectl.says(&spec("v1alpha1")).await;
    assert_eq!(
        old,
        r#"{"sandboxTemplateRef":{"name":"t"},"warmpool":"none"}"#
    );
    let new = kubectl.says(&spec("v1beta1")).await;
    assert_eq!(new, r#"{"warmPoolRef":{"name":"shadow-pool-t"}}"#);
    let sandbox = "sandboxes.v1alpha1.agents.x-k8s.io old";
    kubectl.says(&format!("scale {sandbox} --replicas=0")).await;
    kubectl
        .says("wait --for=delete pod/old --timeout=20s")
        .await;
    let mode = kubectl
        .says("get sandboxes old -o jsonpath={.spec.operatingMode}")
        .await;
    assert_eq!(mode, "Suspended");
    let refused = kubectl
        .output(&format!("scale {sandbox} --replicas=2"))
        .await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("should be 0 or 1"));
    running.cluster.shutdown().await;
}
