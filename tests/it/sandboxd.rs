//! The client on sandboxd, over every way that leads to it.

use std::time::Duration;

use futures::StreamExt;
use sandbench::client::connect::{InCluster, InClusterPodIp, PodTunnel};
use sandbench::client::{
    CallError, ClaimSource, Client, Command, ConnectionMode, CreateRequest, Delivered, FileMode,
    FileType, ProcessEvent, ProcessRequest, Recursive, Runtime, Sandbox, SandboxdPorts, Signal,
    TerminalSize,
};
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

struct World {
    running: Running,
    client: Client,
    _place: Place,
}

impl World {
    async fn start() -> Self {
        let place = Place::new();
        let running = Running::start(&place).await;
        let ports = json!([{ "containerPort": 8080 }, { "containerPort": 9090 }]);
        let pod = json!({ "spec": { "containers": [
            { "name": "c", "image": "sandboxd", "ports": ports }] } });
        let template = json!({ "podTemplate": pod, "service": true });
        running.create("SandboxTemplate", "d", template).await;
        let pool = json!({ "replicas": 0, "sandboxTemplateRef": { "name": "d" } });
        running.create("SandboxWarmPool", "d", pool).await;
        let client = client_of(&running, |builder| builder).await;
        Self {
            running,
            client,
            _place: place,
        }
    }

    async fn sandbox(&self, mode: ConnectionMode) -> Sandbox {
        let request = CreateRequest::new(ClaimSource::WarmPool("d".to_owned()));
        let claim = self.client.create(request).await.unwrap();
        let ready = claim.wait_ready(Duration::from_secs(20)).await.unwrap();
        self.client.connect(&ready, &mode).await.unwrap()
    }

    async fn end(self) {
        self.client.close().await;
        let left = self.client.open_connections() + self.client.open_tunnels();
        assert_eq!(left, 0);
        assert!(self.running.cluster.shutdown().await.is_empty());
    }
}

fn sandboxd() -> Runtime {
    Runtime::Sandboxd(SandboxdPorts::default())
}

fn pod_ip() -> ConnectionMode {
    ConnectionMode::InClusterPodIp(InClusterPodIp {
        runtime: sandboxd(),
        ..InClusterPodIp::default()
    })
}

fn modes() -> [ConnectionMode; 3] {
    let by_name = InCluster {
        runtime: sandboxd(),
        ..InCluster::default()
    };
    [
        pod_ip(),
        ConnectionMode::InCluster(by_name),
        ConnectionMode::PodTunnel(PodTunnel::default()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_lifecycle_works_over_every_way() {
    let world = World::start().await;
    for mode in modes() {
        let sandbox = world.sandbox(mode).await;
        let health = sandbox.health().await.unwrap();
        assert!(health.status == "ok" && health.uptime.is_some());
        let metadata = sandbox.metadata().await.unwrap();
        assert!(metadata.keys().all(|name| name.starts_with("SANDBOX_")));
        let commands = sandbox.commands();
        let run = commands.run("echo $((1 + 2)) && exit 3").await.unwrap();
        assert_eq!((&*run.stdout, run.exit_code), ("3\n", 3), "a shell");
        let run = commands.run_argv(["echo", "$HOME", "a b"]).await.unwrap();
        assert_eq!(run.stdout, "$HOME a b\n", "no shell");
        let told = Command::argv(["sh", "-c", "echo $X; pwd"])
            .env("X", "y")
            .cwd("/");
        let run = commands.run(told).await.unwrap();
        assert!(run.stdout.starts_with("y\n/"), "{}", run.stdout);
        let files = sandbox.files();
        files.write("a/b c.txt", "hello").await.unwrap();
        assert_eq!(files.read("a/b c.txt").await.unwrap(), "hello");
        files
            .write_with_mode("a/x", "#!/bin/sh\necho ran\n", FileMode(0o755))
            .await
            .unwrap();
        assert_eq!(commands.run("./a/x").await.unwrap().stdout, "ran\n");
        let names: Vec<_> = files.list("a").await.unwrap();
        let names: Vec<_> = names
            .iter()
            .map(|entry| (&*entry.name, entry.kind))
            .collect();
        assert_eq!(names, [("b c.txt", FileType::File), ("x", FileType::File)]);
        assert!(files.exists("a").await.unwrap());
        let wrong = files.read("a").await.unwrap_err();
        assert!(
            matches!(
                wrong,
                CallError::WrongKind {
                    expected: FileType::File,
                    ..
                }
            ),
            "{wrong}"
        );
        let wrong = files.list("a/x").await.unwrap_err();
        assert!(matches!(wrong, CallError::WrongKind { .. }), "{wrong}");
        let full = files.delete("a", Recursive::No).await.unwrap_err();
        assert_eq!(full.status(), Some(409));
        files.delete("a", Recursive::Yes).await.unwrap();
        assert!(!files.exists("a").await.unwrap());
        assert_eq!(files.read("a").await.unwrap_err().status(), Some(404));
        let missing = commands.run_argv(["/nosuch"]).await.unwrap_err();
        assert!(
            matches!(
                missing,
                CallError::Grpc {
                    code: "NOT_FOUND",
                    ..
                }
            ),
            "{missing}"
        );
        sandbox.disconnect().await;
        let closed = commands.run("true").await.unwrap_err();
        assert!(matches!(closed, CallError::Closed { .. }), "{closed}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_fed_signalled_and_followed() {
    let world = World::start().await;
    for mode in modes() {
        let sandbox = world.sandbox(mode).await;
        let processes = sandbox.processes();
        let mut cat = processes
            .start(ProcessRequest::argv(["cat"]))
            .await
            .unwrap();
        let control = cat.control();
        for line in ["one\n", "two\n"] {
            control.write_stdin(line).await.unwrap();
            let event = cat.next().await.unwrap().unwrap();
            assert_eq!(event, ProcessEvent::Stdout(line.into()));
        }
        control.close_stdin().await.unwrap();
        assert_eq!(cat.next().await.unwrap().unwrap(), ProcessEvent::Exited(0));
        assert!(cat.next().await.is_none());
        let over = control.signal(Signal::Kill).await.unwrap_err();
        assert!(
            matches!(
                over,
                CallError::Grpc {
                    code: "NOT_FOUND",
                    ..
                }
            ),
            "{over}"
        );

        let both = ProcessRequest::shell("echo out; echo err >&2; exit 4");
        let left = processes.start(both).await.unwrap().output().await.unwrap();
        assert_eq!(
            (&left.stdout[..], &left.stderr[..]),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(left.exit_code, 4);

        let sleeper = processes
            .start(ProcessRequest::argv(["sleep", "60"]))
            .await
            .unwrap();
        sleeper.control().signal(Signal::Terminate).await.unwrap();
        assert_eq!(sleeper.output().await.unwrap().exit_code, -1);

        let mut terminal = ProcessRequest::shell("read x; stty size");
        terminal.terminal = Some(TerminalSize {
            columns: 80,
            rows: 24,
        });
        let terminal = processes.start(terminal).await.unwrap();
        let wide = TerminalSize {
            columns: 132,
            rows: 50,
        };
        terminal.control().resize(wide).await.unwrap();
        terminal.control().write_stdin("go\n").await.unwrap();
        let shown = terminal.output().await.unwrap().stdout;
        assert!(
            String::from_utf8_lossy(&shown).contains("50 132"),
            "{shown:?}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_process_ends_and_large_output_comes_whole() {
    let world = World::start().await;
    let sandbox = world.sandbox(pod_ip()).await;
    let started = ProcessRequest::shell("echo $$ > pid; exec sleep 60");
    let mut process = sandbox.processes().start(started).await.unwrap();
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(process.poll_next_unpin(cx)));
    assert!(polled.await.is_pending(), "it writes nothing");
    let alive = "until test -s pid; do :; done; kill -0 $(cat pid)";
    assert_eq!(
        sandbox.commands().run_shell(alive).await.unwrap().exit_code,
        0
    );
    drop(process);
    let gone = "while kill -0 $(cat pid) 2>/dev/null; do :; done";
    assert_eq!(
        sandbox.commands().run_shell(gone).await.unwrap().exit_code,
        0
    );
    // gRPC's own limit would be 4 MiB.
    let large = "head -c 6000000 /dev/zero | tr '\\0' x";
    let large = sandbox.commands().run_shell(large).await.unwrap();
    assert_eq!(large.stdout.len(), 6_000_000);
    let larger = "head -c 68000000 /dev/zero";
    let larger = sandbox.commands().run_shell(larger).await.unwrap_err();
    assert!(matches!(larger, CallError::TooLarge { .. }), "{larger}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_a_timeout_and_ends() {
    let world = World::start().await;
    let sandbox = world.sandbox(pod_ip()).await;
    let slow = Command::shell("echo $$ > pid; exec sleep 60").timeout(Duration::from_millis(500));
    let late = sandbox.commands().run(slow).await.unwrap_err();
    assert!(matches!(late, CallError::Timeout { .. }), "{late}");
    assert_ne!(late.delivered(), Delivered::No);
    let gone = "while kill -0 $(cat pid) 2>/dev/null; do :; done";
    assert_eq!(
        sandbox.commands().run_shell(gone).await.unwrap().exit_code,
        0
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_one_connection_to_the_processes() {
    let world = World::start().await;
    let sandbox = world
        .sandbox(ConnectionMode::PodTunnel(PodTunnel::default()))
        .await;
    let commands = sandbox.commands();
    let runs = (0..20).map(|number| commands.run(format!("echo {number}")));
    for (number, run) in futures::future::join_all(runs)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(run.unwrap().stdout, format!("{number}\n"));
    }
    assert!(
        world.client.open_tunnels() <= 2,
        "one for REST, one for gRPC"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_legacy_runtime_cannot_do_is_said_before_anything_is_sent() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let client = client_of(&running, |builder| builder).await;
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let claim = client.create(request).await.unwrap();
    let ready = claim.wait_ready(Duration::from_secs(20)).await.unwrap();
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
    let sandbox = client.connect(&ready, &mode).await.unwrap();
    let commands = sandbox.commands();
    assert_eq!(sandbox.health().await.unwrap().status, "ok");
    let errors = [
        sandbox.metadata().await.unwrap_err(),
        sandbox
            .processes()
            .start(ProcessRequest::argv(["true"]))
            .await
            .unwrap_err(),
        sandbox
            .files()
            .delete("x", Recursive::No)
            .await
            .unwrap_err(),
        sandbox
            .files()
            .write_with_mode("x", "", FileMode(0o600))
            .await
            .unwrap_err(),
        commands
            .run(Command::new("true").cwd("/"))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(
                error,
                CallError::Unsupported {
                    runtime: "legacy",
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.delivered(), Delivered::No);
    }
    // The same words mean the same as on sandboxd.
    let run = commands
        .run_argv(["echo", "$HOME", "it's", "", "a b"])
        .await
        .unwrap();
    assert_eq!(run.stdout, "$HOME it's  a b\n");
    let run = commands
        .run_shell("echo $((1 + 2)) && exit 3")
        .await
        .unwrap();
    assert_eq!((&*run.stdout, run.exit_code), ("3\n", 3));
    client.close().await;
    running.cluster.shutdown().await;
}
