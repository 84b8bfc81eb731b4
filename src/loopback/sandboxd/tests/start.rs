//! `Start` on pipes: order, chunks, input, signals, ends.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Code;

use super::{Pod, command, next, refused, rest_of, shell, until_out};
use crate::api::sandboxd::{
    ProcessEvent, SendSignalRequest, Signal, StdinPayload, WriteStdinRequest, method,
};

#[tokio::test]
async fn events_begin_with_the_number_and_end_with_the_code() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod
        .begin(shell("echo out; echo err >&2; exit 5"), None)
        .await;
    assert_eq!(number, 1);
    let ended = rest_of(&mut events).await;
    assert_eq!(ended, ("out\n".to_owned(), "err\n".to_owned(), 5, 4));
    // A process that could not be started has used a number too.
    let nothing = pod.start_with(command(&["nosuch"]), None).await;
    assert_eq!(refused(nothing).0, Code::NotFound);
    let (number, mut events) = pod.begin(shell("head -c 100000 /dev/zero"), None).await;
    let (out, _, code, largest) = rest_of(&mut events).await;
    assert_eq!((number, out.len(), code, largest), (3, 100_000, 0, 4096));
    let nothing = pod.start_with(command(&[]), None).await;
    assert_eq!(
        refused(nothing),
        (Code::InvalidArgument, "command is required".to_owned())
    );
    pod.end().await;
}

#[tokio::test]
async fn input_reaches_the_process_until_it_is_closed() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod.begin(command(&["cat"]), None).await;
    pod.input(number, "one\n").await;
    assert_eq!(until_out(&mut events, "one\n").await, "one\n");
    pod.input(number, "two\n").await;
    pod.write(number, StdinPayload::Eof(())).await.unwrap();
    assert_eq!(rest_of(&mut events).await.0, "two\n");
    pod.until_no_process().await;

    let (number, mut events) = pod.begin(shell("cat; sleep 96"), None).await;
    pod.write(number, StdinPayload::Eof(())).await.unwrap();
    let again = pod.write(number, StdinPayload::Eof(())).await;
    assert_eq!(refused(again).0, Code::Internal);
    let late = StdinPayload::Input(Bytes::from_static(b"x"));
    assert_eq!(refused(pod.write(number, late).await).0, Code::Internal);
    pod.signal(number, Signal::Terminate).await.unwrap();
    assert_eq!(rest_of(&mut events).await.2, -1);
    pod.end().await;
}

#[tokio::test]
async fn a_message_over_4_mib_is_refused() {
    let mut pod = Pod::start().await;
    let (number, events) = pod.begin(command(&["cat"]), None).await;
    let input = StdinPayload::Input(Bytes::from(vec![0; 5 << 20]));
    let (code, _) = refused(pod.write(number, input).await);
    assert_eq!(code, Code::ResourceExhausted);
    drop(events);
    pod.end().await;
}

#[tokio::test]
async fn a_write_that_waits_for_room_ends_when_the_input_is_closed() {
    let mut pod = Pod::start().await;
    let (number, events) = pod.begin(command(&["sleep", "95"]), None).await;
    let mut grpc = pod.grpc.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let input = StdinPayload::Input(Bytes::from(vec![0; 1 << 20]));
        let request = WriteStdinRequest {
            process_id: number,
            payload: Some(input),
        };
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static(method::WRITE_STDIN);
        let codec = tonic_prost::ProstCodec::<WriteStdinRequest, ()>::default();
        grpc.unary(tonic::Request::new(request), path, codec).await
    });
    pod.write(number, StdinPayload::Eof(())).await.unwrap();
    let written = tasks.join_next().await.unwrap().unwrap();
    assert_eq!(written.unwrap_err().code(), Code::Internal);
    drop(events);
    pod.until_no_process().await;
    pod.end().await;
}

#[tokio::test]
async fn signals_go_to_the_whole_group() {
    let mut pod = Pod::start().await;
    let text = "trap 'echo caught' INT; sleep 94 & echo ready; wait $!; wait; echo over";
    let (number, mut events) = pod.begin(shell(text), None).await;
    until_out(&mut events, "ready\n").await;
    pod.signal(number, Signal::Interrupt).await.unwrap();
    assert!(
        until_out(&mut events, "caught\n")
            .await
            .starts_with("caught")
    );
    pod.signal(number, Signal::Kill).await.unwrap();
    assert_eq!(rest_of(&mut events).await.2, -1);
    pod.until_no_process().await;
    pod.end().await;
}

#[tokio::test]
async fn numbers_that_nobody_has_are_not_found() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod.begin(command(&["true"]), None).await;
    assert_eq!(rest_of(&mut events).await.2, 0);
    pod.until_no_process().await;
    let text = |number: i32| (Code::NotFound, format!("process {number} not found"));
    for number in [number, 0, -3, 99] {
        let signalled = pod.signal(number, Signal::Kill).await;
        assert_eq!(refused(signalled), text(number));
        let written = pod.write(number, StdinPayload::Eof(())).await;
        assert_eq!(refused(written), text(number));
        assert_eq!(refused(pod.resize(number, 80, 24).await), text(number));
    }
    pod.end().await;
}

#[tokio::test]
async fn other_signals_and_sizes_of_no_terminal_are_refused() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod.begin(command(&["sleep", "93"]), None).await;
    let (code, text) = refused(pod.signal(number, Signal::Unspecified).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(
        text,
        "unsupported or unspecified signal: SIGNAL_UNSPECIFIED"
    );
    let request = SendSignalRequest {
        process_id: number,
        signal: 1,
    };
    let answer = pod.unary::<_, ()>(method::SEND_SIGNAL, request).await;
    assert_eq!(refused(answer).0, Code::InvalidArgument);
    let (code, text) = refused(pod.resize(number, 80, 24).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(
        text,
        "failed to resize TTY: process is completed or has no active PTY"
    );
    pod.signal(number, Signal::Kill).await.unwrap();
    rest_of(&mut events).await;
    pod.end().await;
}

#[tokio::test]
async fn a_caller_that_drops_the_stream_ends_process_and_group() {
    let mut pod = Pod::start().await;
    let quiet = "trap '' TERM HUP; sleep 91 & echo ready; sleep 92";
    let (_, mut events) = pod.begin(shell(quiet), None).await;
    until_out(&mut events, "ready\n").await;
    assert_eq!(pod.sandboxd.processes(), 1);
    drop(events);
    pod.until_no_process().await;
    // One that writes all the time, to a caller that does not read.
    let (_, mut events) = pod.begin(command(&["yes"]), None).await;
    assert!(matches!(
        next(&mut events).await,
        Some(ProcessEvent::Stdout(_))
    ));
    drop(events);
    pod.until_no_process().await;
    pod.end().await;
}

#[tokio::test]
async fn output_that_others_hold_open_is_left_after_a_while() {
    let mut pod = Pod::start().await;
    let (_, mut events) = pod.begin(shell("setsid sleep 90 & echo out"), None).await;
    let (out, _, code, _) = rest_of(&mut events).await;
    assert_eq!((out.as_str(), code), ("out\n", 0));
    assert!(super::super::super::runtime::sweep(&pod.root()) > 0);
    pod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_pod_ends_processes_streams_and_calls() {
    let mut pod = Pod::start().await;
    let stubborn = "trap '' TERM; echo ready; sleep 88 & sleep 89";
    let (_, mut events) = pod.begin(shell(stubborn), None).await;
    until_out(&mut events, "ready\n").await;
    let mut grpc = pod.grpc.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let config = Some(shell("sleep 87"));
        let request = crate::api::sandboxd::ExecuteRequest { config };
        grpc.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static(method::EXECUTE);
        let codec = tonic_prost::ProstCodec::<_, crate::api::sandboxd::ExecuteResponse>::default();
        grpc.unary(tonic::Request::new(request), path, codec).await
    });
    while pod.sandboxd.processes() < 2 {
        tokio::task::yield_now().await;
    }
    let root = pod.root();
    let ending = pod.sandboxd.end(Duration::from_millis(300));
    let asking = async {
        loop {
            let (status, body) = pod.ask(http::Method::GET, "/v1/health", "").await;
            if status == 503 {
                return body;
            }
        }
    };
    let ((), body) = tokio::join!(ending, asking);
    assert_eq!(
        body,
        "{\"code\":\"UNAVAILABLE\",\"message\":\"sandboxd is shutting down\"}\n"
    );
    assert!(!root.exists());
    pod.until_no_process().await;
    match tasks.join_next().await.unwrap().unwrap() {
        Ok(answer) => assert_eq!(answer.into_inner().exit_code, -1),
        Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
    }
    while let Ok(Some(event)) = events.message().await {
        assert!(!matches!(event.event, Some(ProcessEvent::Exit(exit)) if exit.exit_code == 0));
    }
}
