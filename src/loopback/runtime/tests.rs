//! The legacy runtime over real sockets: requests and their exact answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::super::fault::Faults;
use super::super::testing::{Reply, call, execute, get, request};
use super::{LegacyRuntime, LegacySettings, sweep};

struct Pod {
    root: TempDir,
    runtime: LegacyRuntime,
    address: SocketAddr,
}

impl Pod {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let settings = LegacySettings {
            name: "pod-1".to_owned(),
            address,
            directory: root.path().join("pod-1"),
            faults: Faults::default(),
        };
        let runtime = LegacyRuntime::start(settings).await.unwrap();
        Self {
            root,
            runtime,
            address,
        }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("pod-1")
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Reply {
        call(self.address, request).await.unwrap()
    }

    async fn run(&self, command: &str) -> String {
        self.call(execute(command)).await.text().to_owned()
    }
}

fn upload(name: &str, content: &[u8]) -> Request<Full<Bytes>> {
    let mut body = format!(
        "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--xyz--\r\n");
    let mut request = request(Method::POST, "/upload", body);
    let kind = "multipart/form-data; boundary=xyz".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    request
}

/// Live processes whose working directory is the given one.
fn processes_in(directory: &Path) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
        })
        .count()
}

#[tokio::test]
async fn commands_answer_exactly_as_upstreams_runtime() {
    let pod = Pod::start().await;
    for (command, answer) in [
        (
            "echo hi | cat",
            r#"{"stdout":"hi | cat\n","stderr":"","exit_code":0}"#,
        ),
        (
            "echo $HOME *",
            r#"{"stdout":"$HOME *\n","stderr":"","exit_code":0}"#,
        ),
        (
            "echo #é",
            r##"{"stdout":"#é\n","stderr":"","exit_code":0}"##,
        ),
        (
            r#"sh -c "echo out; echo err >&2; exit 3""#,
            r#"{"stdout":"out\n","stderr":"err\n","exit_code":3}"#,
        ),
        (
            r#"sh -c "kill -9 $$""#,
            r#"{"stdout":"","stderr":"","exit_code":-9}"#,
        ),
        (
            r"printf 'a\r\nb\rc'",
            r#"{"stdout":"a\nb\nc","stderr":"","exit_code":0}"#,
        ),
        (
            r"printf '\377'",
            r#"{"stdout":"","stderr":"Failed to execute command: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte","exit_code":1}"#,
        ),
        (
            "nosuch",
            r#"{"stdout":"","stderr":"Failed to execute command: [Errno 2] No such file or directory: 'nosuch'","exit_code":1}"#,
        ),
        (
            "./nosuch",
            r#"{"stdout":"","stderr":"Failed to execute command: [Errno 2] No such file or directory: './nosuch'","exit_code":1}"#,
        ),
        (
            "/tmp",
            r#"{"stdout":"","stderr":"Failed to execute command: [Errno 13] Permission denied: '/tmp'","exit_code":1}"#,
        ),
        (
            "",
            r#"{"stdout":"","stderr":"Failed to execute command: list index out of range","exit_code":1}"#,
        ),
        (
            "echo 'a",
            r#"{"stdout":"","stderr":"Failed to execute command: No closing quotation","exit_code":1}"#,
        ),
        (
            "a\0b",
            r#"{"stdout":"","stderr":"Failed to execute command: embedded null byte","exit_code":1}"#,
        ),
        (
            "echo a\0b",
            r#"{"stdout":"","stderr":"Failed to execute command: embedded null byte","exit_code":1}"#,
        ),
    ] {
        let reply = pod.call(execute(command)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (200, answer),
            "{command}"
        );
        assert_eq!(reply.header("content-type"), "application/json");
    }
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn commands_see_their_directory_and_a_minimal_environment() {
    let pod = Pod::start().await;
    let home = pod.directory();
    let home = home.to_str().unwrap();
    let answer: Value = serde_json::from_str(&pod.run("env").await).unwrap();
    let mut variables: Vec<_> = answer["stdout"].as_str().unwrap().lines().collect();
    variables.sort_unstable();
    assert_eq!(
        variables,
        [
            &format!("HOME={home}")[..],
            "HOSTNAME=pod-1",
            "LANG=C.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
    );
    let answer: Value = serde_json::from_str(&pod.run("pwd").await).unwrap();
    assert_eq!(answer["stdout"], format!("{home}\n"));
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_its_children() {
    let pod = Pod::start().await;
    let mut slow = execute("");
    let command = r#"sh -c "trap '' TERM; sleep 97 & sleep 98""#;
    let body = json!({ "command": command, "timeout_seconds": 0.25 }).to_string();
    *slow.body_mut() = Full::new(body.into());
    let answer = pod.call(slow).await;
    assert_eq!(
        answer.text(),
        r#"{"stdout":"","stderr":"Failed to execute command: Command '['sh', '-c', \"trap '' TERM; sleep 97 & sleep 98\"]' timed out after 0.25 seconds","exit_code":1,"timed_out":true}"#
    );
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn wrong_execute_requests_are_refused_in_the_frameworks_shape() {
    let pod = Pod::start().await;
    for (body, status, answer) in [
        (
            "",
            422,
            r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#,
        ),
        (
            "{}",
            422,
            r#"{"detail":[{"type":"missing","loc":["body","command"],"msg":"Field required","input":{}}]}"#,
        ),
        (
            r#"{"command":5}"#,
            422,
            r#"{"detail":[{"type":"string_type","loc":["body","command"],"msg":"Input should be a valid string","input":5}]}"#,
        ),
        (
            "[1]",
            422,
            r#"{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]}"#,
        ),
        (
            "x",
            422,
            r#"{"detail":[{"type":"json_invalid","loc":["body",0],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#,
        ),
        (
            r#"{"command":"true","timeout_seconds":-1,"other":1}"#,
            200,
            r#"{"stdout":"","stderr":"","exit_code":0}"#,
        ),
    ] {
        let mut wrong = execute("");
        *wrong.body_mut() = Full::new(body.into());
        let reply = pod.call(wrong).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (status, answer),
            "{body}"
        );
    }
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_path_answers_as_upstreams_runtime() {
    let pod = Pod::start().await;
    pod.run("mkdir -p sub").await;
    pod.run("sh -c \"printf hello > sub/a.txt; ln -s /etc out; printf x > 'a b%25'\"")
        .await;
    for (method, path, status, body) in [
        (
            "GET",
            "/",
            200,
            r#"{"status":"ok","message":"Sandbox Runtime is active."}"#,
        ),
        ("GET", "/healthz", 404, r#"{"detail":"Not Found"}"#),
        ("GET", "/execute", 405, r#"{"detail":"Method Not Allowed"}"#),
        ("HEAD", "/", 405, ""),
        (
            "DELETE",
            "/download/sub/a.txt",
            405,
            r#"{"detail":"Method Not Allowed"}"#,
        ),
        ("GET", "/download/sub/a.txt", 200, "hello"),
        ("GET", "/download/sub%2Fa.txt", 200, "hello"),
        ("GET", "/download/%2Fsub%252Fa.txt", 200, "hello"),
        ("GET", "/download//sub/./a.txt", 200, "hello"),
        ("GET", "/download/a%20b%252525", 200, "x"),
        (
            "GET",
            "/download/a%20b%2525",
            404,
            r#"{"message":"File not found"}"#,
        ),
        (
            "GET",
            "/download/sub",
            404,
            r#"{"message":"File not found"}"#,
        ),
        (
            "GET",
            "/download/nosuch",
            404,
            r#"{"message":"File not found"}"#,
        ),
        (
            "GET",
            "/download/out/passwd",
            403,
            r#"{"message":"Access denied"}"#,
        ),
        (
            "GET",
            "/download/%2E%2E/x",
            403,
            r#"{"message":"Access denied"}"#,
        ),
        (
            "GET",
            "/download/..%2f..%2fetc%2fpasswd",
            403,
            r#"{"message":"Access denied"}"#,
        ),
        ("GET", "/exists/sub", 200, r#"{"path":"sub","exists":true}"#),
        (
            "GET",
            "/exists/nosuch%20x",
            200,
            r#"{"path":"nosuch x","exists":false}"#,
        ),
        (
            "GET",
            "/exists/%2E%2E",
            403,
            r#"{"message":"Access denied"}"#,
        ),
        (
            "GET",
            "/list/nosuch",
            404,
            r#"{"message":"Path is not a directory"}"#,
        ),
        (
            "GET",
            "/list/sub/a.txt",
            404,
            r#"{"message":"Path is not a directory"}"#,
        ),
        ("GET", "/list/%2E%2E", 403, r#"{"message":"Access denied"}"#),
        ("GET", "/list", 307, ""),
    ] {
        let reply = pod.call(request(method.parse().unwrap(), path, "")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (status, body),
            "{method} {path}"
        );
    }
    let moved = pod.call(get("/list")).await;
    assert_eq!(moved.header("location"), "http://sandbox.test/list/");
    let listed: Value = serde_json::from_slice(&pod.call(get("/list/sub")).await.body).unwrap();
    let entry = &listed.as_array().unwrap()[0];
    assert_eq!(entry["name"], "a.txt");
    assert_eq!(
        (&entry["size"], &entry["type"]),
        (&json!(5), &json!("file"))
    );
    assert!(entry["mod_time"].as_f64().unwrap() > 1.6e9);
    let keys: Vec<_> = pod
        .call(get("/list/%2E"))
        .await
        .text()
        .matches("\"type\":\"directory\"")
        .map(str::len)
        .collect();
    assert_eq!(keys.len(), 2);
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn files_come_back_as_they_were_uploaded() {
    let pod = Pod::start().await;
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    for (name, content) in [
        ("deep/er/x.bin", &large[..]),
        ("empty", b""),
        ("ü n.txt", b"\0\xff\r\n--xy"),
    ] {
        let reply = pod.call(upload(name, content)).await;
        let expected = format!(r#"{{"message":"File '{name}' uploaded successfully."}}"#);
        assert_eq!((reply.status.as_u16(), reply.text()), (200, &expected[..]));
        let quoted = name.replace('ü', "%C3%BC").replace(' ', "%20");
        let back = pod.call(get(&format!("/download/{quoted}"))).await;
        assert_eq!(back.status.as_u16(), 200);
        assert!(back.body == content, "{name}");
        assert_eq!(back.header("content-length"), content.len().to_string());
    }
    let named = pod.call(get("/download/deep/er/x.bin")).await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"deep/er/x.bin\""
    );
    for (range, status, content_range, bytes) in [
        ("bytes=0-3", 206, Some("bytes 0-3/3000000"), &large[..4]),
        (
            "bytes=2999998-",
            206,
            Some("bytes 2999998-2999999/3000000"),
            &large[2_999_998..],
        ),
        (
            "bytes=-2",
            206,
            Some("bytes 2999998-2999999/3000000"),
            &large[2_999_998..],
        ),
        (
            "bytes=5-999999999",
            206,
            Some("bytes 5-2999999/3000000"),
            &large[5..],
        ),
        ("bytes=3000000-", 416, Some("bytes */3000000"), b""),
        ("lines=1-2", 200, None, &large[..]),
    ] {
        let mut partial = get("/download/deep/er/x.bin");
        partial
            .headers_mut()
            .insert("range", range.parse().unwrap());
        let reply = pod.call(partial).await;
        assert_eq!(reply.status.as_u16(), status, "{range}");
        let found = reply
            .headers
            .get("content-range")
            .map(|v| v.to_str().unwrap());
        assert_eq!(found, content_range, "{range}");
        assert!(reply.body == bytes, "{range}");
    }
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn wrong_uploads_are_refused() {
    let pod = Pod::start().await;
    let outside = pod.call(upload("../x", b"1")).await;
    assert_eq!(
        (outside.status.as_u16(), outside.text()),
        (403, r#"{"message":"Access denied"}"#)
    );
    pod.run("mkdir sub").await;
    let folder = pod.call(upload("sub", b"1")).await;
    let expected = format!(
        r#"{{"message":"File upload failed: [Errno 21] Is a directory: '{}'"}}"#,
        pod.directory().join("sub").display()
    );
    assert_eq!(
        (folder.status.as_u16(), folder.text()),
        (500, &expected[..])
    );
    let missing = r#"{"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]}"#;
    let plain = pod.call(request(Method::POST, "/upload", "x")).await;
    assert_eq!((plain.status.as_u16(), plain.text()), (422, missing));
    let mut cut = upload("x", b"1");
    *cut.body_mut() = Full::new("--xyz\r\nContent-Dispo".into());
    assert_eq!(pod.call(cut).await.status.as_u16(), 400);
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn fifty_commands_with_megabytes_of_output_run_side_by_side() {
    let pod = Pod::start().await;
    let command = r#"sh -c "head -c 2000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2""#;
    let answers = join_all((0..50).map(|_| pod.run(command))).await;
    for answer in answers {
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["exit_code"], 0);
        assert_eq!(answer["stdout"].as_str().unwrap().len(), 2_000_000);
        assert_eq!(answer["stderr"].as_str().unwrap().len(), 1_000_000);
    }
    assert_eq!(pod.runtime.processes(), 0);
    pod.runtime.end(Duration::ZERO).await;
}

#[tokio::test]
async fn a_directory_is_made_for_the_first_request_and_says_why_when_it_cannot_be() {
    let pod = Pod::start().await;
    let directory = pod.directory();
    assert!(!directory.exists());
    std::fs::write(&directory, "in its place").unwrap();
    let refused = pod.call(execute("true")).await;
    let text = refused.text();
    assert!(text.contains("directory cannot be made"), "{text}");
    std::fs::remove_file(&directory).unwrap();
    assert!(pod.run("true").await.contains("\"exit_code\":0"));
    assert!(directory.is_dir());
    pod.runtime.end(Duration::ZERO).await;
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_pod_ends_with_all_its_processes_its_directory_and_its_socket() {
    let pod = Pod::start().await;
    let directory = pod.directory();
    // a child in the background that outlives its command
    pod.run(r#"sh -c "trap '' TERM; (trap '' TERM; sleep 91) >/dev/null 2>&1 &""#)
        .await;
    assert_eq!(pod.runtime.processes(), 1);
    let running = call(
        pod.address,
        execute(r#"sh -c "trap '' TERM HUP; touch up; sleep 92; sleep 93""#),
    );
    let ending = async {
        while !directory.join("up").exists() {
            tokio::task::yield_now().await;
        }
        assert!(processes_in(&directory) >= 2);
        pod.runtime.end(Duration::from_millis(30)).await;
    };
    let (interrupted, ()) = tokio::join!(running, ending);
    assert!(interrupted.is_err(), "{interrupted:?}");
    assert!(!directory.exists());
    assert!(TcpStream::connect(pod.address).await.is_err());
    // a killed process is gone when its parent, or init, has waited for it
    while processes_in(&directory) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_process_that_left_its_group_is_found_by_its_home() {
    let pod = Pod::start().await;
    // It says itself that it has left: before that it would end with its group.
    pod.run(r#"sh -c "setsid sh -c 'touch fled; exec sleep 94' >/dev/null 2>&1 &""#)
        .await;
    let directory = pod.directory();
    while !directory.join("fled").exists() {
        tokio::task::yield_now().await;
    }
    let root = pod.root.path().canonicalize().unwrap();
    pod.runtime.end(Duration::ZERO).await;
    assert_eq!(sweep(&root), 1);
}
