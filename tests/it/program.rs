//! The built program in a directory of its own, so that what it leaves can be seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sandbench::metrics::Summary;
use tempfile::TempDir;

/// A place to run in: its own temporary directory, home and environment.
pub struct Place {
    directory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The program with this place's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbench"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("TMPDIR", self.path("tmp"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command().args(arguments).output().unwrap())
    }

    /// Starts the program with its output caught.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Asserts that no pod directory and no process of this place is left; processes that were
    /// killed may take a moment to go.
    pub fn assert_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let directories: Vec<PathBuf> = fs::read_dir(self.path("tmp"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            let processes = self.processes();
            if directories.is_empty() && processes.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left: {directories:?} {processes:?}"
            );
            std::thread::yield_now();
        }
    }

    /// Processes that have this place in their environment.
    fn processes(&self) -> Vec<String> {
        let mark = self.directory.path().to_str().unwrap().as_bytes().to_vec();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries
            .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
            .filter(|entry| {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                environment.windows(mark.len()).any(|window| window == mark)
            })
            .map(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).replace('\0', " ")
            })
            .collect()
    }
}

/// How the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    pub fn assert_says(&self, part: &str) -> &Self {
        assert!(
            self.stdout.contains(part) || self.stderr.contains(part),
            "`{part}` is not in\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Reads a result file.
pub fn result(path: &Path) -> Summary {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs a command to its end beside what else the test does.
pub async fn ended(command: Command) -> Ended {
    let mut command = tokio::process::Command::from(command);
    Ended::of(&command.output().await.unwrap())
}

/// The number of samples of a metric over all steps of a cell, and over all labels.
pub fn samples(summary: &Summary, cell: usize, metric: &str) -> u64 {
    let all = summary.cells[cell].metrics.iter();
    all.filter(|found| found.metric == metric && found.step.is_none())
        .map(|found| {
            let statistics = found.statistics.as_ref();
            statistics.map_or(found.value.unwrap_or(0), |statistics| statistics.n)
        })
        .sum()
}
