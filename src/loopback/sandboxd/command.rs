//! From a `ProcessConfig` to a command: program, environment, working directory; and the status of
//! one that could not be started.
//!
//! No shell in between. A name without a slash is looked up in the daemon's own `PATH`, as upstream
//! does it, whatever `PATH` the request sets for the process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};
use tonic::Status;

use super::daemon::Shared;
use super::path::{PathError, confine};
use super::reply::io_text;
use crate::api::sandboxd::ProcessConfig;

/// What failed, for the text of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Execute,
    Start,
    StartOnTerminal,
}

impl Attempt {
    fn text(self) -> &'static str {
        match self {
            Self::Execute => "failed to execute command",
            Self::Start => "failed to start command",
            Self::StartOnTerminal => "failed to start command with PTY",
        }
    }
}

/// A command that can be started.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Empty until it is found.
    pub(super) program: PathBuf,
    /// The program's name as the request has it, then its arguments; never empty.
    words: Vec<String>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    attempt: Attempt,
}

impl Prepared {
    /// Checks the request. Blocks on the file system, shortly.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without a command, `PERMISSION_DENIED` for a working directory outside of
    /// the root.
    pub(super) fn new(
        shared: &Shared,
        config: Option<ProcessConfig>,
        attempt: Attempt,
    ) -> Result<Self, Status> {
        let config = config.unwrap_or_default();
        if config.command.is_empty() {
            return Err(Status::invalid_argument("command is required"));
        }
        let directory = match config.cwd.as_deref().filter(|cwd| !cwd.is_empty()) {
            None => shared.root().to_path_buf(),
            Some(cwd) => confine(shared.root(), Path::new(cwd)).map_err(|error| match error {
                PathError::Escapes => Status::permission_denied(format!(
                    "cwd: access denied: path {cwd:?}: path escapes sandbox root"
                )),
                PathError::Unresolved(error) => Status::internal(format!(
                    "cwd: failed to evaluate symlinks: {}",
                    io_text(&error)
                )),
            })?,
        };
        let mut environment = shared.environment.clone();
        environment.extend(config.env_vars);
        Ok(Self {
            program: PathBuf::new(),
            words: config.command,
            directory,
            environment,
            attempt,
        })
    }

    /// Finds the program. Blocks on the file system, shortly.
    ///
    /// # Errors
    /// `NOT_FOUND` if the search path has no such program.
    pub(super) fn find(&mut self, shared: &Shared) -> Result<(), Status> {
        let (what, name) = (self.attempt.text(), self.words[0].as_str());
        if name.is_empty() {
            return Err(Status::internal(format!("{what}: exec: no command")));
        }
        self.program = if name.contains('/') {
            self.directory.join(name)
        } else {
            let search = shared.environment.get("PATH").map_or("", String::as_str);
            look_up(name, search).ok_or_else(|| {
                Status::not_found(format!(
                    "{what}: command or path not found: exec: {name:?}: executable file not found \
                     in $PATH"
                ))
            })?
        };
        Ok(())
    }

    /// The command without its streams. `launcher` runs it: a program, and words before its own.
    pub(super) fn command(&self, launcher: Option<(&Path, &str)>) -> Command {
        let mut command = match launcher {
            None => {
                let mut command = Command::new(&self.program);
                command.arg0(&self.words[0]);
                command
            }
            Some((launcher, option)) => {
                let mut command = Command::new(launcher);
                command.arg(option).arg(&self.program);
                command
            }
        };
        command
            .args(&self.words[1..])
            .current_dir(&self.directory)
            .env_clear()
            .envs(
                self.environment
                    .iter()
                    .map(|(name, value)| (OsStr::new(name), value)),
            )
            .kill_on_drop(true);
        command
    }

    /// Starts what [`command`](Self::command) has made.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PERMISSION_DENIED`, else `INTERNAL`.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Child, Status> {
        command.spawn().map_err(|error| self.status(&error))
    }

    /// The status of a failure to start.
    pub(super) fn status(&self, error: &io::Error) -> Status {
        let what = self.attempt.text();
        let cause = format!("fork/exec {}: {}", self.program.display(), io_text(error));
        match error.kind() {
            io::ErrorKind::NotFound => {
                Status::not_found(format!("{what}: command or path not found: {cause}"))
            }
            io::ErrorKind::PermissionDenied => {
                Status::permission_denied(format!("{what}: permission denied: {cause}"))
            }
            _ => Status::internal(format!("{what}: {cause}")),
        }
    }
}

/// The first executable file of that name in a search path.
pub(super) fn look_up(name: &str, search: &str) -> Option<PathBuf> {
    let mut candidates = search.split(':').map(|folder| Path::new(folder).join(name));
    candidates.find(|candidate| can_run(candidate).is_ok())
}

/// Whether a program can be run.
///
/// # Errors
/// What the system would say if it were run.
pub(super) fn can_run(program: &Path) -> io::Result<()> {
    if !std::fs::metadata(program)?.is_file() {
        return Err(rustix::io::Errno::ACCESS.into());
    }
    Ok(rustix::fs::access(program, rustix::fs::Access::EXEC_OK)?)
}
