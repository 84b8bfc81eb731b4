//! Runs the program as a user does, and reads its result.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sandbench::metrics::{Summary, Warning};

pub type Failure = Box<dyn Error>;

/// A run under way.
pub struct Run {
    child: Child,
    result: PathBuf,
    _directory: tempfile::TempDir,
}

impl Run {
    /// Starts a run of one scenario with this load and these steps, on the loopback cluster.
    pub fn start(load: &str, steps: &str) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let (file, result) = (
            directory.path().join("bench.yaml"),
            directory.path().join("result.json"),
        );
        let text = format!(
            "version: 1\nname: bench\ntarget: {{ warmPool: none, mode: in-cluster-pod-ip }}\n\
             scenarios:\n  bench:\n    load: {load}\n    steps: {steps}\n"
        );
        std::fs::write(&file, text)?;
        let child = Command::new(env!("CARGO_BIN_EXE_sandbench"))
            .arg("run")
            .arg(file)
            .arg(format!("--out=json={}", result.display()))
            .args(["--progress", "none", "--seed", "1"])
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            result,
            _directory: directory,
        })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end.
    pub fn summary(mut self) -> Result<Summary, Failure> {
        self.child.wait()?;
        let summary: Summary = serde_json::from_str(&std::fs::read_to_string(&self.result)?)?;
        if summary.warnings.contains(&Warning::DebugBuild) {
            return Err("a debug build: use `cargo bench`".into());
        }
        Ok(summary)
    }
}
