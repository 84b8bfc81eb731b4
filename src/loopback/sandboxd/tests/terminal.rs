//! `Start` on a pseudo-terminal.

use tonic::Code;

use super::{Pod, command, refused, rest_of, shell, until_out};
use crate::api::sandboxd::{Pty, Signal, StdinPayload};

const SIZE: Option<Pty> = Some(Pty {
    cols: 100,
    rows: 40,
});

#[tokio::test]
async fn a_process_on_a_terminal_sees_its_size_and_writes_to_one_stream() {
    let mut pod = Pod::start().await;
    let text = "test -t 0 && test -t 1 && test -t 2 && stty size; echo err >&2; exit 4";
    let (_, mut events) = pod.begin(shell(text), SIZE).await;
    let (out, err, code, _) = rest_of(&mut events).await;
    assert_eq!(
        (out.as_str(), err.as_str(), code),
        ("40 100\r\nerr\r\n", "", 4)
    );
    let missing = pod.start_with(command(&["nosuch"]), SIZE).await;
    assert_eq!(refused(missing).0, Code::NotFound);
    let missing = pod.start_with(command(&["./nosuch"]), SIZE).await;
    let (code, text) = refused(missing);
    assert_eq!(code, Code::NotFound);
    assert!(
        text.starts_with("failed to start command with PTY: "),
        "{text}"
    );
    let denied = pod.start_with(command(&["/tmp"]), SIZE).await;
    assert_eq!(refused(denied).0, Code::PermissionDenied);
    pod.end().await;
}

#[tokio::test]
async fn a_new_size_is_told_to_the_process() {
    let mut pod = Pod::start().await;
    let text = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let (number, mut events) = pod.begin(shell(text), SIZE).await;
    until_out(&mut events, "ready").await;
    pod.resize(number, 132, 50).await.unwrap();
    until_out(&mut events, "50 132").await;
    pod.signal(number, Signal::Kill).await.unwrap();
    assert_eq!(rest_of(&mut events).await.2, -1);
    pod.end().await;
}

#[tokio::test]
async fn keys_are_echoed_and_ctrl_c_interrupts() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod.begin(command(&["cat"]), SIZE).await;
    pod.input(number, "hello\n").await;
    let seen = until_out(&mut events, "hello\r\nhello\r\n").await;
    assert_eq!(seen, "hello\r\nhello\r\n");
    pod.input(number, "\u{3}").await;
    let (_, _, code, _) = rest_of(&mut events).await;
    assert_eq!(code, -1);
    pod.until_no_process().await;
    pod.end().await;
}

#[tokio::test]
async fn closing_the_input_hangs_up() {
    let mut pod = Pod::start().await;
    let (number, mut events) = pod.begin(shell("echo ready; sleep 85"), SIZE).await;
    until_out(&mut events, "ready").await;
    pod.write(number, StdinPayload::Eof(())).await.unwrap();
    assert_eq!(rest_of(&mut events).await.2, -1);
    pod.end().await;
}

#[tokio::test]
async fn all_output_before_the_end_arrives() {
    let mut pod = Pod::start().await;
    for _ in 0..5 {
        let (_, mut events) = pod.begin(shell("seq 1 20000"), SIZE).await;
        let (out, _, code, largest) = rest_of(&mut events).await;
        assert_eq!((out.lines().count(), code), (20_000, 0));
        assert!(largest <= 4096);
    }
    pod.end().await;
}

#[tokio::test]
async fn jobs_of_a_shell_on_a_terminal_end_with_the_pod() {
    let mut pod = Pod::start().await;
    let jobs = "set -m; trap '' HUP; sleep 84 & sleep 83 & echo ready; wait";
    let (_, mut events) = pod.begin(shell(jobs), SIZE).await;
    until_out(&mut events, "ready").await;
    let root = pod.root();
    pod.end().await;
    assert_eq!(super::super::super::runtime::sweep(&root), 0);
}
