//! Large files in pieces, commands with a limit and draining, on both runtimes.

use std::time::Duration;

use futures::{StreamExt, stream};
use sandbench::client::connect::{InClusterPodIp, Tunnel};
use sandbench::client::{
    CallError, ClaimSource, Client, Command, ConnectionMode, CreateRequest, Drained, FileType,
    Runtime, Sandbox, SandboxdPorts,
};
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

struct World {
    running: Running,
    client: Client,
    /// Over the router's tunnel, on the legacy runtime; straight, on sandboxd.
    sandboxes: [Sandbox; 2],
    _place: Place,
}

impl World {
    async fn start() -> Self {
        let place = Place::new();
        let running = Running::start(&place).await;
        running.pool("legacy", 1, json!({})).await;
        let pod = json!({ "spec": { "containers": [{ "name": "c", "image": "sandboxd" }] } });
        running
            .create("SandboxTemplate", "d", json!({ "podTemplate": pod }))
            .await;
        let pool = json!({ "replicas": 1, "sandboxTemplateRef": { "name": "d" } });
        running.create("SandboxWarmPool", "d", pool).await;
        let client = client_of(&running, |builder| builder).await;
        let tunnel = ConnectionMode::Tunnel(Tunnel::default());
        let straight = ConnectionMode::InClusterPodIp(InClusterPodIp {
            runtime: Runtime::Sandboxd(SandboxdPorts::default()),
            ..InClusterPodIp::default()
        });
        let sandboxes = [
            sandbox(&client, "legacy", &tunnel).await,
            sandbox(&client, "d", &straight).await,
        ];
        Self {
            running,
            client,
            sandboxes,
            _place: place,
        }
    }

    async fn end(self) {
        self.client.close().await;
        let left = self.client.open_connections() + self.client.open_tunnels();
        assert_eq!(left, 0);
        assert!(self.running.cluster.shutdown().await.is_empty());
    }
}

async fn sandbox(client: &Client, pool: &str, mode: &ConnectionMode) -> Sandbox {
    let request = CreateRequest::new(ClaimSource::WarmPool(pool.to_owned()));
    let claim = client.create(request).await.unwrap();
    let ready = claim.wait_ready(Duration::from_secs(20)).await.unwrap();
    client.connect(&ready, mode).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_and_comes_down_in_pieces() {
    let world = World::start().await;
    for sandbox in &world.sandboxes {
        let files = sandbox.files();
        let piece = |number: u32| Ok(number.to_le_bytes().repeat(16 << 10).into());
        let content = stream::iter(0..200).map(piece);
        files.upload("dir/big", content).await.unwrap();
        let mut download = files.download("dir/big").await.unwrap();
        assert_eq!(download.size().unwrap().0, 200 << 16);
        let (mut length, mut pieces) = (0, 0);
        while let Some(piece) = download.next().await {
            let piece = piece.unwrap();
            for (at, byte) in (length..).zip(&piece) {
                let number = u32::try_from(at >> 16).unwrap();
                assert_eq!(*byte, number.to_le_bytes()[at % 4], "at {at}");
            }
            length += piece.len();
            pieces += 1;
        }
        assert!(pieces > 1 && length == 200 << 16, "{pieces} {length}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_breaks_is_an_error_and_the_next_call_works() {
    let world = World::start().await;
    for sandbox in &world.sandboxes {
        let files = sandbox.files();
        let broken = stream::iter([Ok("begin".into()), Err("the disk is gone".into())]);
        let error = files.upload("half", broken).await.unwrap_err();
        assert!(matches!(error, CallError::Transport { .. }), "{error}");
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        assert!(
            causes.iter().any(|c| c.contains("the disk is gone")),
            "{causes:?}"
        );
        assert!(!files.exists("half").await.unwrap());

        files.write("a", vec![7; 3 << 20]).await.unwrap();
        let mut download = files.download("a").await.unwrap();
        download.next().await.unwrap().unwrap();
        drop(download);
        assert_eq!(files.read("a").await.unwrap().len(), 3 << 20);
        let missing = files.download("nothing").await.unwrap_err();
        assert_eq!(missing.status(), Some(404));
    }
    let [_, sandboxd] = &world.sandboxes;
    let directory = sandboxd.files().download("").await.unwrap_err();
    assert!(
        matches!(
            directory,
            CallError::WrongKind {
                expected: FileType::File,
                ..
            }
        ),
        "{directory}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hits_its_limit_is_a_result_and_ends() {
    let world = World::start().await;
    for (sandbox, code) in world.sandboxes.iter().zip([1, 124]) {
        let slow = Command::shell("echo $$ > pid; exec sleep 60");
        let slow = slow.time_limit(Duration::from_millis(300));
        let result = sandbox.commands().run(slow).await.unwrap();
        assert!(result.timed_out, "{result:?}");
        assert_eq!(result.exit_code, code);
        let gone = "while kill -0 $(cat pid) 2>/dev/null; do :; done";
        let gone = sandbox.commands().run_shell(gone).await.unwrap();
        assert_eq!(gone.exit_code, 0);
        let quick = Command::new("true").time_limit(Duration::from_secs(20));
        assert!(!sandbox.commands().run(quick).await.unwrap().timed_out);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_handle_ends_its_calls_and_takes_no_more() {
    let world = World::start().await;
    for sandbox in &world.sandboxes {
        let commands = sandbox.commands();
        let running = commands.run_shell("touch began; until test -e go; do :; done; echo done");
        let drained = async {
            while !sandbox.files().exists("began").await.unwrap() {}
            sandbox.files().write("go", "").await.unwrap();
            sandbox.drain(Duration::from_secs(20)).await
        };
        let (result, drained) = tokio::join!(running, drained);
        assert_eq!(
            (&*result.unwrap().stdout, drained),
            ("done\n", Drained::Fully)
        );
        let closed = commands.run("true").await.unwrap_err();
        assert!(matches!(closed, CallError::Closed { .. }), "{closed}");
    }
    world.end().await;
}
