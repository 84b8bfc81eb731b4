//! Ctrl-C at any instant: the table is printed, and no claim, directory, process or socket is left.

use std::io::Read;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Ended, Place};

const FIFTY: &str = "version: 1\nname: fifty\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
    scenarios:\n  fifty:\n    load: { vus: 50, iterations: 100000, gracefulStop: 1s }\n    steps:\n\
    \x20     - create: {}\n      - exec: sh -c 'sleep 0.2 & echo hello; wait'\n      - write: { path: a, content: b }\n\
    \x20     - delete: {}\n";

pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub fn end(child: Child) -> Ended {
    Ended::of(&child.wait_with_output().unwrap())
}

/// Waits until standard error has this word: the run has come that far.
pub fn wait_for(child: &mut Child, word: &str) {
    let stderr = child.stderr.as_mut().unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(word) {
        assert_eq!(
            stderr.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
}

/// The instants are spread over the run; what they hit is up to the machine, which is the point.
#[expect(
    clippy::disallowed_methods,
    reason = "the instant of the signal is what is tested"
)]
pub fn later(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn one_ctrl_c_lets_iterations_finish_and_two_cancel_them_at_any_instant() {
    for instant in [0, 3, 10, 25, 60, 120, 200, 350, 500, 800] {
        let place = Place::new();
        let file = place.file("fifty.yaml", FIFTY);
        let mut child = place.start(&["run", file.to_str().unwrap()]);
        wait_for(&mut child, "running");
        later(instant);
        signal(&child, Signal::INT);
        if instant % 20 == 0 {
            later(instant / 4);
            signal(&child, Signal::INT);
        }
        let ended = end(child);
        ended
            .assert_code(105)
            .assert_says("fifty")
            .assert_says("nothing left behind");
        assert!(
            ended.stdout.contains("iterations:"),
            "the table is printed: {}",
            ended.stdout
        );
        place.assert_nothing_left();
    }
}

#[test]
fn ctrl_c_before_the_run_has_begun_leaves_nothing() {
    for instant in [30, 60, 100] {
        let place = Place::new();
        let file = place.file("fifty.yaml", FIFTY);
        let child = place.start(&["run", file.to_str().unwrap()]);
        later(instant);
        signal(&child, Signal::INT);
        let ended = end(child);
        // Before the handler stands the signal ends the process, which is the system's default.
        assert!(matches!(ended.code, Some(105) | None), "{ended:?}");
        place.assert_nothing_left();
    }
}

#[test]
fn sigterm_cleans_up_at_once() {
    let place = Place::new();
    let file = place.file("fifty.yaml", FIFTY);
    let mut child = place.start(&["run", file.to_str().unwrap()]);
    wait_for(&mut child, "running");
    later(100);
    signal(&child, Signal::TERM);
    end(child)
        .assert_code(105)
        .assert_says("nothing left behind");
    place.assert_nothing_left();
}

#[test]
fn a_killed_run_takes_its_loopback_cluster_with_it() {
    let place = Place::new();
    let file = place.file("fifty.yaml", FIFTY);
    let mut child = place.start(&["run", file.to_str().unwrap()]);
    wait_for(&mut child, "running");
    later(100);
    signal(&child, Signal::KILL);
    assert_eq!(end(child).code, None);
    place.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_cluster_up_and_removes_its_kubeconfig() {
    let place = Place::new();
    let kubeconfig = place.path("k.yaml");
    let mut child = place.start(&[
        "cluster",
        "up",
        "--kubeconfig-out",
        kubeconfig.to_str().unwrap(),
    ]);
    let mut greeting = [0; 32];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut greeting)
        .unwrap();
    assert!(
        std::fs::read_to_string(&kubeconfig)
            .unwrap()
            .contains("current-context: loopback")
    );
    signal(&child, Signal::INT);
    end(child).assert_code(0);
    assert!(!kubeconfig.exists());
    place.assert_nothing_left();
}
