//! The catalogue of `scenarios/load`: every file has a head for its reader and a line in the index,
//! and runs as its head says, shortened and without a cluster.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc;

use sandbench::loopback::ClusterConfig;
use serde_json::json;

use crate::cluster::Running;
use crate::program::{Ended, Place};

/// Runs at the same time: they mostly wait.
const AT_ONCE: usize = 3;

struct Entry {
    name: String,
    text: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn catalogue() -> Vec<Entry> {
    let files = fs::read_dir(folder().join("load")).unwrap();
    let mut entries: Vec<Entry> = files
        .map(|file| {
            let path = file.unwrap().path();
            Entry {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                text: fs::read_to_string(path).unwrap(),
            }
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

impl Entry {
    /// The words of the command in the head, without the program.
    fn command(&self) -> Vec<String> {
        let mut lines = self.text.lines();
        let line = lines.find_map(|line| line.strip_prefix("#   sandbench "));
        let line = line.unwrap_or_else(|| panic!("{}: no command in the head", self.name));
        let words = line.split_whitespace();
        words
            .map(|word| word.trim_matches('\'').to_owned())
            .collect()
    }
}

#[test]
fn every_scenario_of_the_catalogue_tells_its_reader_what_it_is_for() {
    let index = fs::read_to_string(folder().join("README.md")).unwrap();
    for entry in catalogue() {
        let Entry { name, text } = &entry;
        for word in ["# Question: ", "# Look at ", "# Change ", "# Takes "] {
            assert!(text.contains(word), "{name}: no `{word}` in its head");
        }
        assert!(
            index.contains(&format!("(load/{name})")),
            "{name} is not in scenarios/README.md"
        );
        let command = entry.command();
        assert_eq!(command[..2], ["run", &format!("scenarios/load/{name}")]);
    }
}

/// Runs entries as their heads say until there are no more.
fn run_all(entries: &Mutex<std::vec::IntoIter<Entry>>, ended: &mpsc::Sender<(String, Ended)>) {
    let next = || entries.lock().unwrap().next();
    while let Some(entry) = next() {
        let place = Place::new();
        let command = entry.command();
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        ended.send((entry.name, place.run(&words))).unwrap();
        place.assert_nothing_left();
    }
}

#[test]
fn every_scenario_of_the_catalogue_runs_shortened_without_a_cluster() {
    let entries = Mutex::new(catalogue().into_iter());
    let (sender, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (entries, sender) = (&entries, sender.clone());
            scope.spawn(move || run_all(entries, &sender));
        }
        drop(sender);
        for (name, ended) in ended {
            assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
            ended.assert_says("nothing left behind");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_through_again_after_the_router_has_failed() {
    let place = Place::new();
    let config = ClusterConfig {
        faults: vec!["router=502@30%*40".parse().unwrap()],
        ..ClusterConfig::default()
    };
    let running = Running::start_with(&place, config).await;
    running.pool("python-pool", 6, json!({})).await;
    let entry = catalogue()
        .into_iter()
        .find(|entry| entry.name == "fault-recovery.yaml");
    let command = entry.unwrap().command();
    let output = tokio::process::Command::from(place.command())
        .env("KUBECONFIG", &running.kubeconfig)
        .args(command)
        .args(["--cluster", "current"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let ended = Ended::of(&output);
    ended.assert_code(0).assert_says("nothing left behind");
    assert!(running.cluster.shutdown().await.is_empty());
}
