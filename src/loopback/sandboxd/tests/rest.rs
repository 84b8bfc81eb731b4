//! The REST API: files, health, metadata.

use std::os::unix::fs::{PermissionsExt, symlink};

use http::Method;
use serde_json::{Value, json};

use super::super::super::testing::{get, request};
use super::Pod;

#[tokio::test]
async fn a_file_is_written_read_and_removed() {
    let pod = Pod::start().await;
    let path = "/v1/files/a%2Fb%20c.txt";
    assert_eq!(
        pod.ask(Method::PUT, path, "content").await,
        (204, String::new())
    );
    let target = pod.root().join("a/b c.txt");
    assert_eq!(std::fs::read(&target).unwrap(), b"content");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&target), 0o644);
    let reply = pod.call(get("/v1/files/a/b%20c.txt")).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "content"));
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "7"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(reply.header(name), value);
    }
    let modified = reply.header("last-modified").to_owned();
    let head = pod.call(request(Method::HEAD, path, "")).await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    assert_eq!(head.header("content-length"), "7");
    let mut unchanged = get(path);
    let since = modified.parse().unwrap();
    unchanged.headers_mut().insert("if-modified-since", since);
    assert_eq!(pod.call(unchanged).await.status.as_u16(), 304);

    let written = pod
        .ask(Method::PUT, &format!("{path}?mode=0750"), "new")
        .await;
    assert_eq!(written.0, 204);
    assert_eq!(mode(&target), 0o750);
    assert_eq!(std::fs::read_dir(pod.root().join("a")).unwrap().count(), 1);
    assert_eq!(pod.ask(Method::DELETE, path, "").await.0, 204);
    let absent = failure("NOT_FOUND", "path does not exist within the sandbox");
    assert_eq!(
        pod.ask(Method::DELETE, path, "").await,
        (404, absent.clone())
    );
    assert_eq!(pod.ask(Method::GET, path, "").await, (404, absent));
    let head = pod.call(request(Method::HEAD, path, "")).await;
    assert_eq!(head.status.as_u16(), 404);
    pod.end().await;
}

fn failure(code: &str, message: &str) -> String {
    json!({ "code": code, "message": message }).to_string() + "\n"
}

#[tokio::test]
async fn parts_of_a_file_are_served() {
    let pod = Pod::start().await;
    std::fs::write(pod.root().join("f"), "0123456789").unwrap();
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        (
            "bytes=10-",
            416,
            "invalid range: failed to overlap\n",
            "bytes */10",
        ),
        ("bytes=x", 416, "invalid range\n", ""),
    ] {
        let mut request = get("/v1/files/f");
        request
            .headers_mut()
            .insert("range", range.parse().unwrap());
        let reply = pod.call(request).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (status, body),
            "{range}"
        );
        let found = reply.headers.get("content-range");
        let found = found.map_or("", |value| value.to_str().unwrap());
        assert_eq!(found, content_range, "{range}");
    }
    let large = "x".repeat(3_000_000);
    let written = pod.ask(Method::PUT, "/v1/files/large", &large).await;
    assert_eq!(written.0, 204);
    assert_eq!(pod.ask(Method::GET, "/v1/files/large", "").await.1, large);
    pod.end().await;
}

#[tokio::test]
async fn a_directory_is_listed_by_name_without_links_that_lead_nowhere_or_outside() {
    let pod = Pod::start().await;
    let root = pod.root();
    let empty = pod.ask(Method::GET, "/v1/files/", "").await;
    assert_eq!(empty, (200, "{\"path\":\"/\",\"entries\":[]}\n".to_owned()));
    std::fs::create_dir_all(root.join("d/sub")).unwrap();
    std::fs::write(root.join("d/b<&>"), "12").unwrap();
    std::fs::write(root.join("d/a"), "1").unwrap();
    symlink("sub", root.join("d/link")).unwrap();
    symlink("/etc", root.join("d/outside")).unwrap();
    symlink("nowhere", root.join("d/broken")).unwrap();
    let (status, text) = pod.ask(Method::GET, "/v1/files/d", "").await;
    assert_eq!(status, 200);
    assert!(text.contains(r"b\u003c\u0026\u003e"), "{text}");
    let listing: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listing["path"], "/d");
    let entries: Vec<_> = listing["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap(),
                entry["type"].as_str().unwrap(),
            )
        })
        .collect();
    let (file, directory) = ("file", "directory");
    assert_eq!(
        entries,
        [
            ("a", file),
            ("b<&>", file),
            ("link", directory),
            ("sub", directory)
        ]
    );
    let first = &listing["entries"][0];
    assert_eq!(
        (&first["size"], &first["mode"]),
        (&json!(1), &json!("0644"))
    );
    let modified = first["modified_at"].as_str().unwrap();
    assert!(
        modified.ends_with('Z') && modified.len() == 20,
        "{modified}"
    );
    let slash = pod.ask(Method::GET, "/v1/files/d/", "").await;
    assert!(slash.1.starts_with("{\"path\":\"/d/\""), "{slash:?}");
    let head = pod.call(request(Method::HEAD, "/v1/files/d", "")).await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    pod.end().await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_removed() {
    let pod = Pod::start().await;
    let root = pod.root();
    std::fs::create_dir_all(root.join("d/sub")).unwrap();
    std::fs::create_dir_all(root.join("empty")).unwrap();
    std::fs::write(root.join("f"), "").unwrap();
    symlink("nowhere", root.join("broken")).unwrap();
    let full = "directory is not empty; pass recursive=true to remove it";
    let of_root = "cannot delete the sandbox root; pass recursive=true to clear its contents";
    for (path, status, answer) in [
        ("d", 409, failure("CONFLICT", full)),
        ("d?recursive=false", 409, failure("CONFLICT", full)),
        ("", 409, failure("CONFLICT", of_root)),
        ("%2E", 409, failure("CONFLICT", of_root)),
        (
            "d?recursive=yes",
            400,
            failure("INVALID_ARGUMENT", "recursive \"yes\" must be a boolean"),
        ),
        ("empty", 204, String::new()),
        ("broken", 204, String::new()),
        ("d?recursive=1", 204, String::new()),
        ("?recursive=true", 204, String::new()),
    ] {
        let answered = pod
            .ask(Method::DELETE, &format!("/v1/files/{path}"), "")
            .await;
        assert_eq!(answered, (status, answer), "{path}");
    }
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    pod.end().await;
}

#[tokio::test]
async fn paths_outside_of_the_root_are_refused_or_clamped() {
    let pod = Pod::start().await;
    let root = pod.root();
    symlink("/etc", root.join("out")).unwrap();
    symlink("..", root.join("up")).unwrap();
    let text = "path traversal outside sandbox root is forbidden";
    let outside = (403, failure("PERMISSION_DENIED", text));
    for path in [
        "%2E%2E%2Fx",
        "out%2Fpasswd",
        "out",
        "up%2Fx",
        "a%2F..%2F..%2Fx",
    ] {
        let path = format!("/v1/files/{path}");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(
                pod.ask(method.clone(), &path, "x").await,
                outside,
                "{method} {path}"
            );
        }
    }
    let written = pod
        .ask(Method::PUT, "/v1/files/%2F..%2F..%2Fclamped", "x")
        .await;
    assert_eq!(written.0, 204);
    assert!(root.join("clamped").exists());
    let written = pod
        .ask(Method::PUT, "/v1/files/%2Fworkspace%2Fw", "x")
        .await;
    assert_eq!(written.0, 204);
    assert!(root.join("w").exists());
    let below = pod.ask(Method::GET, "/v1/files/clamped/x", "").await;
    let text = "failed to evaluate symlinks: not a directory";
    assert_eq!(below, (500, failure("INTERNAL", text)));
    pod.end().await;
}

#[tokio::test]
async fn wrong_writes_are_refused_and_a_form_is_taken() {
    let pod = Pod::start().await;
    std::fs::create_dir(pod.root().join("d")).unwrap();
    for mode in ["644", "0999", "00644", "0-77", "rw"] {
        let text = format!("mode {mode:?} must match ^0[0-7]{{3}}$");
        let path = format!("/v1/files/f?mode={mode}");
        let answered = pod.ask(Method::PUT, &path, "x").await;
        assert_eq!(answered, (400, failure("INVALID_ARGUMENT", &text)));
    }
    let answered = pod.ask(Method::PUT, "/v1/files/d", "x").await;
    let text = failure("INVALID_ARGUMENT", "target path is a directory");
    assert_eq!(answered, (400, text));
    let form = |name: &str| {
        let body = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"n\"\r\n\r\ncontent\r\n--xyz--\r\n"
        );
        let mut request = request(Method::PUT, "/v1/files/form", body);
        let kind = "multipart/form-data; boundary=xyz".parse().unwrap();
        request.headers_mut().insert("content-type", kind);
        request
    };
    let reply = pod.call(form("other")).await;
    let text = "multipart body is missing the required \"file\" part";
    assert_eq!(reply.text(), failure("INVALID_ARGUMENT", text));
    assert_eq!(pod.call(form("file")).await.status.as_u16(), 204);
    assert_eq!(
        pod.ask(Method::GET, "/v1/files/form", "").await.1,
        "content"
    );
    pod.end().await;
}

#[tokio::test]
async fn health_metadata_and_unknown_routes() {
    let pod = Pod::start().await;
    let (status, text) = pod.ask(Method::GET, "/v1/health", "").await;
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert!(health["uptime_seconds"].is_u64(), "{text}");
    let shown = pod.ask(Method::GET, "/v1/metadata", "").await;
    let wanted = "{\"env\":{\"SANDBOX_NAME\":\"box\"}}\n";
    assert_eq!(shown, (200, wanted.to_owned()));
    let not_found = (404, "404 page not found\n".to_owned());
    for path in ["/", "/v1", "/v2/files/a", "/execute", "/v1/health/x"] {
        assert_eq!(pod.ask(Method::GET, path, "").await, not_found, "{path}");
    }
    for (path, allowed) in [
        ("/v1/files/a", "DELETE, GET, HEAD, PUT"),
        ("/v1/health", "GET, HEAD"),
    ] {
        let reply = pod.call(request(Method::POST, path, "")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("allow")),
            (405, allowed)
        );
        assert_eq!(reply.text(), "Method Not Allowed\n");
    }
    for (path, target) in [("/v1/files", "/v1/files/"), ("/v1/files//a", "/v1/files/a")] {
        let reply = pod.call(get(path)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("location")),
            (307, target)
        );
    }
    pod.end().await;
}
