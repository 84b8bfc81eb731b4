//! `Execute`, and calls that no process takes part in.

use std::os::unix::fs::symlink;

use tonic::Code;

use super::{Pod, command, refused, shell};
use crate::api::sandboxd::{ExecuteRequest, ExecuteResponse, ProcessConfig, method};

#[tokio::test]
async fn a_process_gets_its_words_and_answers_with_both_streams_and_its_code() {
    let mut pod = Pod::start().await;
    let answer = pod
        .execute(command(&["printf", "%s|", "a b", "$HOME", "*"]))
        .await
        .unwrap();
    assert_eq!(&answer.stdout[..], b"a b|$HOME|*|");
    let answer = pod.shell("echo out; echo err >&2; exit 7").await;
    assert_eq!(answer, (7, "out\n".to_owned(), "err\n".to_owned()));
    let answer = pod.shell("kill -9 $$").await;
    assert_eq!(answer.0, -1);
    let answer = pod.execute(shell("head -c 3000000 /dev/zero")).await;
    assert_eq!(answer.unwrap().stdout.len(), 3_000_000);
    pod.end().await;
}

#[tokio::test]
async fn variables_of_the_request_go_over_the_daemons() {
    let mut pod = Pod::start().await;
    let mut config = command(&["env"]);
    for (name, value) in [("LANG", "C"), ("MINE", "a=b c")] {
        config.env_vars.insert(name.to_owned(), value.to_owned());
    }
    let answer = pod.execute(config).await.unwrap();
    let text = String::from_utf8(answer.stdout.to_vec()).unwrap();
    let home = format!("HOME={}", pod.root().display());
    for line in [&home, "LANG=C", "MINE=a=b c", "OTHER=y", "HOSTNAME=pod-1"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!text.contains("CARGO"), "{text}");
    // The program is found by the daemon's own search path.
    let mut config = command(&["true"]);
    config
        .env_vars
        .insert("PATH".to_owned(), "/nowhere".to_owned());
    assert_eq!(pod.execute(config).await.unwrap().exit_code, 0);
    pod.end().await;
}

#[tokio::test]
async fn the_working_directory_is_the_root_or_inside_it() {
    let mut pod = Pod::start().await;
    let root = pod.root();
    std::fs::create_dir_all(root.join("sub/deep")).unwrap();
    std::fs::write(root.join("file"), "").unwrap();
    symlink("/etc", root.join("out")).unwrap();
    let at = |cwd: &str| ProcessConfig {
        cwd: Some(cwd.to_owned()),
        ..command(&["pwd"])
    };
    let inside = root.join("sub/deep").display().to_string();
    for (cwd, wanted) in [
        ("", root.display().to_string()),
        ("sub/deep", inside.clone()),
        ("/sub/deep", inside.clone()),
        ("/workspace/sub/deep", inside.clone()),
        (&inside, inside.clone()),
        ("/../../sub/deep", inside.clone()),
    ] {
        let answer = pod.execute(at(cwd)).await.unwrap();
        assert_eq!(answer.stdout, format!("{wanted}\n"), "{cwd}");
    }
    for cwd in ["..", "out", "sub/../../x"] {
        let (code, text) = refused(pod.execute(at(cwd)).await);
        assert_eq!(code, Code::PermissionDenied, "{cwd}");
        let wanted = format!("cwd: access denied: path {cwd:?}: path escapes sandbox root");
        assert_eq!(text, wanted);
    }
    let (code, _) = refused(pod.execute(at("nowhere")).await);
    assert_eq!(code, Code::NotFound);
    let (code, _) = refused(pod.execute(at("file")).await);
    assert_eq!(code, Code::Internal);
    pod.end().await;
}

#[tokio::test]
async fn what_cannot_be_run_has_the_status_that_upstream_gives_it() {
    let mut pod = Pod::start().await;
    std::fs::write(pod.root().join("plain"), "echo hi").unwrap();
    for (words, code, text) in [
        (&[][..], Code::InvalidArgument, "command is required"),
        (
            &["nosuch-program"],
            Code::NotFound,
            "failed to execute command: command or path not found: exec: \"nosuch-program\": executable file not found in $PATH",
        ),
        (&["./nosuch"], Code::NotFound, "no such file or directory"),
        (&["./plain"], Code::PermissionDenied, "permission denied"),
        (&["/tmp"], Code::PermissionDenied, "permission denied"),
        (&[""], Code::Internal, "exec: no command"),
        (&["echo", "a\0b"], Code::Internal, "invalid argument"),
    ] {
        let (found, message) = refused(pod.execute(command(words)).await);
        assert_eq!(found, code, "{words:?}: {message}");
        assert!(message.ends_with(text), "{words:?}: {message}");
    }
    let empty = ExecuteRequest { config: None };
    let answer = pod
        .unary::<_, ExecuteResponse>(method::EXECUTE, empty)
        .await;
    assert_eq!(refused(answer).0, Code::InvalidArgument);
    pod.end().await;
}

#[tokio::test]
async fn a_caller_that_goes_or_runs_out_of_time_ends_the_process() {
    let mut pod = Pod::start().await;
    let mark = pod.root().join("started");
    let mut other = Pod {
        grpc: pod.grpc.clone(),
        ..Pod::start().await
    };
    let running = other.execute(shell("sleep 97 & touch started; sleep 98"));
    let started = async {
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = running => panic!("{answer:?}"),
        () = started => {}
    }
    pod.until_no_process().await;
    pod.grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(ExecuteRequest {
        config: Some(shell("sleep 99")),
    });
    request.set_timeout(std::time::Duration::from_millis(100));
    let path = http::uri::PathAndQuery::from_static(method::EXECUTE);
    let codec = tonic_prost::ProstCodec::<ExecuteRequest, ExecuteResponse>::default();
    let answer = pod.grpc.unary(request, path, codec).await;
    let code = answer.unwrap_err().code();
    assert!(
        matches!(code, Code::Cancelled | Code::DeadlineExceeded),
        "{code:?}"
    );
    pod.until_no_process().await;
    other.end().await;
    pod.end().await;
}

#[tokio::test]
async fn methods_and_services_that_are_not_there_are_unimplemented() {
    let mut pod = Pod::start().await;
    for (path, text) in [
        (
            "/process.v1.ProcessService/Stop",
            "unknown method Stop for service process.v1.ProcessService",
        ),
        (
            "/other.v1.Service/Start",
            "unknown service other.v1.Service",
        ),
    ] {
        let answer = pod.unary::<(), ()>(path, ()).await;
        assert_eq!(refused(answer), (Code::Unimplemented, text.to_owned()));
    }
    pod.end().await;
}
