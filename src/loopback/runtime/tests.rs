use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::address::AddressPlan;
use super::*;

struct Fixture {
    address: SocketAddr,
    runtime: Runtime,
    lifetime: Lifetime,
    directory: tempfile::TempDir,
    _block: TcpListener,
}

impl Fixture {
    async fn start() -> Self {
        let (plan, block) = AddressPlan::claim().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let lifetime = Lifetime::default();
        let ip = plan.take_pod().unwrap();
        let runtime = Runtime::start(ip, "pod-a", directory.path().to_owned(), &lifetime)
            .await
            .unwrap();
        let address = SocketAddr::from((ip, RUNTIME_PORT));
        Self {
            address,
            runtime,
            lifetime,
            directory,
            _block: block,
        }
    }

    /// Status and body of a raw request.
    async fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    async fn post(&self, path: &str, kind: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn execute(&self, command: &str) -> (u16, String) {
        self.post(
            "/execute",
            "application/json",
            &json!({ "command": command }).to_string(),
        )
        .await
    }

    async fn upload(&self, name: &str, content: &str) -> (u16, String) {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n\
             {content}\r\n--b--\r\n"
        );
        self.post("/upload", "multipart/form-data; boundary=b", &body)
            .await
    }

    async fn stop(self) {
        self.runtime.stop();
        self.lifetime.tasks.close();
        self.lifetime.tasks.wait().await;
        self.no_process_lives().await;
    }

    /// Waits until the system has removed what was killed.
    async fn no_process_lives(&self) {
        let gone = async {
            while self.runtime.live_processes() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn execute_answers_as_upstreams_runtime() {
    let pod = Fixture::start().await;
    for (command, answer) in [
        ("echo hi", r#"{"exit_code":0,"stderr":"","stdout":"hi\n"}"#),
        (
            "echo hi | cat",
            r#"{"exit_code":0,"stderr":"","stdout":"hi | cat\n"}"#,
        ),
        (
            "sh -c 'echo a; echo b >&2; exit 7'",
            r#"{"exit_code":7,"stderr":"b\n","stdout":"a\n"}"#,
        ),
        (
            "sh -c 'kill -9 $$'",
            r#"{"exit_code":-9,"stderr":"","stdout":""}"#,
        ),
        (
            "nosuch",
            r#"{"exit_code":1,"stderr":"Failed to execute command: [Errno 2] No such file or directory: 'nosuch'","stdout":""}"#,
        ),
        (
            "",
            r#"{"exit_code":1,"stderr":"Failed to execute command: list index out of range","stdout":""}"#,
        ),
        (
            "echo 'x",
            r#"{"exit_code":1,"stderr":"Failed to execute command: No closing quotation","stdout":""}"#,
        ),
        (
            "printf '\\377'",
            r#"{"exit_code":1,"stderr":"Failed to execute command: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte","stdout":""}"#,
        ),
    ] {
        let (status, body) = pod.execute(command).await;
        assert_eq!((status, sorted(&body)), (200, sorted(answer)), "{command}");
    }
    assert_eq!(pod.post("/execute", "application/json", "{}").await.0, 422);
    assert_eq!(pod.post("/execute", "application/json", "{").await.0, 422);
    pod.stop().await;
}

fn sorted(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_command_runs_in_the_pods_directory_with_little_environment() {
    let pod = Fixture::start().await;
    let (_, body) = pod
        .execute("sh -c 'pwd; echo $HOSTNAME; env | wc -l'")
        .await;
    let stdout = sorted(&body)["stdout"].as_str().unwrap().to_owned();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines[0],
        pod.directory
            .path()
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
    );
    assert_eq!(lines[1], "pod-a");
    assert!(lines[2].trim().parse::<usize>().unwrap() < 12, "{stdout}");
    pod.stop().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_its_whole_group() {
    let pod = Fixture::start().await;
    let body =
        json!({ "command": "sh -c 'trap \"\" TERM; sleep 60 & wait'", "timeout_seconds": 0.2 });
    let (status, body) = pod
        .post("/execute", "application/json", &body.to_string())
        .await;
    let answer = sorted(&body);
    assert_eq!((status, answer["exit_code"].as_i64()), (200, Some(1)));
    assert!(
        answer["stderr"]
            .as_str()
            .unwrap()
            .contains("timed out after 0.2 seconds"),
        "{answer}"
    );
    pod.stop().await;
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_dies_with_the_pod() {
    let pod = Fixture::start().await;
    let (_, body) = pod
        .execute("sh -c 'sleep 60 >/dev/null 2>&1 & echo started'")
        .await;
    assert_eq!(sorted(&body)["stdout"], "started\n");
    assert_eq!(pod.runtime.live_processes(), 1);
    pod.runtime.stop();
    pod.stop().await;
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    let pod = Fixture::start().await;
    assert_eq!(
        pod.upload("a/b c.txt", "hello").await,
        (
            200,
            r#"{"message":"File 'a/b c.txt' uploaded successfully."}"#.to_owned()
        )
    );
    assert_eq!(
        pod.get("/download/a%2Fb%20c.txt").await,
        (200, "hello".to_owned())
    );
    assert_eq!(pod.get("/download/a/b%20c.txt").await.0, 200);
    assert_eq!(
        pod.get("/exists/a%2Fb%20c.txt").await.1,
        r#"{"path":"a/b c.txt","exists":true}"#
    );
    let (status, listing) = pod.get("/list/a").await;
    let entry = &sorted(&listing)[0];
    assert_eq!(
        (status, &entry["name"], &entry["size"]),
        (200, &json!("b c.txt"), &json!(5))
    );
    assert_eq!(entry["type"], "file");
    assert_eq!(pod.get("/list/%2E").await.0, 200);
    pod.stop().await;
}

#[tokio::test]
async fn refusals_have_upstreams_bodies() {
    let pod = Fixture::start().await;
    let denied = (403, r#"{"message":"Access denied"}"#.to_owned());
    for path in ["/download/%2E%2E%2Fx", "/list/%2E%2E", "/exists/..%2Fx"] {
        assert_eq!(pod.get(path).await, denied, "{path}");
    }
    assert_eq!(pod.upload("../x", "y").await, denied);
    for (path, status, body) in [
        ("/download/none", 404, r#"{"message":"File not found"}"#),
        (
            "/list/none",
            404,
            r#"{"message":"Path is not a directory"}"#,
        ),
        ("/nosuch", 404, r#"{"detail":"Not Found"}"#),
        ("/execute", 405, r#"{"detail":"Method Not Allowed"}"#),
    ] {
        assert_eq!(pod.get(path).await, (status, body.to_owned()), "{path}");
    }
    assert_eq!(pod.get("/list").await.0, 307);
    assert_eq!(pod.post("/upload", "text/plain", "x").await.0, 422);
    assert!(pod.get("/").await.1.contains("Sandbox Runtime is active."));
    pod.stop().await;
}
