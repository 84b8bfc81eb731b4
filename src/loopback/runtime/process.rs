//! Commands of a pod: each leads a process group of its own, so that it can be killed whole.
//!
//! [`Groups`] remembers every group that may still have members, also after its command has ended
//! (a child in the background). A group's number cannot be reused while it has members, and one
//! whose leader's number is a live process again was reused: such a group is not ours any more.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Search path of commands.
pub(in crate::loopback) const PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between two looks at groups that are being ended.
const END_POLL: Duration = Duration::from_millis(5);

/// Where and as whom commands run.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Working directory and home.
    pub(super) directory: Arc<Path>,
    /// Host name that commands see in their environment.
    pub(super) host: Arc<str>,
}

/// What a command has left.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Exit code, or minus the number of the signal.
    pub(super) exit_code: i32,
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum RunError {
    /// It could not be started.
    Spawn(io::Error),
    /// It did not end in time and was killed with its group.
    TimedOut,
    /// The pod was deleted meanwhile.
    Stopped,
}

/// The process groups of one pod.
#[derive(Debug, Clone, Default)]
pub(in crate::loopback) struct Groups(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    running: HashSet<Pid>,
    lingering: HashSet<Pid>,
}

impl Groups {
    /// Groups that may still have members.
    pub(in crate::loopback) fn count(&self) -> usize {
        let mut state = self.state();
        state.lingering.retain(|group| is_ours(*group));
        state.running.len() + state.lingering.len()
    }

    /// Ends every group: asks with SIGTERM, waits at most `grace`, then kills. No command can be
    /// started afterwards.
    ///
    /// # Cancel safety
    /// If dropped, some groups may live on; call [`kill`](Self::kill) then.
    pub(in crate::loopback) async fn end(&self, grace: Duration) {
        if !grace.is_zero() && self.signal(Signal::TERM) > 0 {
            let deadline = Instant::now() + grace;
            while self.count() > 0 && Instant::now() < deadline {
                tokio::time::sleep(END_POLL).await;
            }
        }
        self.kill();
    }

    /// Kills every group at once. No command can be started afterwards.
    pub(in crate::loopback) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) -> usize {
        let mut state = self.state();
        state.closed = true;
        state.lingering.retain(|group| is_ours(*group));
        for group in state.running.iter().chain(&state.lingering) {
            if let Err(error) = kill_process_group(*group, signal) {
                tracing::trace!(%error, "a process group was gone already");
            }
        }
        state.running.len() + state.lingering.len()
    }

    /// Registers the group of a command that has just been started. Drop the registration when the
    /// command was waited for.
    pub(in crate::loopback) fn enter(&self, group: Pid) -> Running<'_> {
        let mut state = self.state();
        state.running.insert(group);
        Running {
            groups: self,
            group,
            late: state.closed,
        }
    }

    fn leave(&self, group: Pid) {
        let mut state = self.state();
        state.running.remove(&group);
        if is_ours(group) {
            state.lingering.insert(group);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a group whose leader was waited for still has members of ours.
pub(in crate::loopback) fn is_ours(group: Pid) -> bool {
    let reused = || {
        Path::new("/proc")
            .join(group.as_raw_nonzero().to_string())
            .exists()
    };
    test_kill_process_group(group).is_ok() && !reused()
}

/// A registered group; moves to the lingering ones when dropped, if it has members left.
#[derive(Debug)]
pub(in crate::loopback) struct Running<'a> {
    groups: &'a Groups,
    group: Pid,
    late: bool,
}

impl Running<'_> {
    /// Whether the pod was ending already: then the command has to be killed at once.
    pub(in crate::loopback) fn is_late(&self) -> bool {
        self.late
    }

    /// Kills the whole group.
    pub(in crate::loopback) fn kill(&self) {
        if let Err(error) = kill_process_group(self.group, Signal::KILL) {
            tracing::trace!(%error, "the command's process group was gone already");
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.groups.leave(self.group);
    }
}

/// Runs a command and waits until it has ended and its output is closed.
///
/// # Errors
/// See [`RunError`]. After [`RunError::TimedOut`] and [`RunError::Stopped`] its group is dead.
///
/// # Cancel safety
/// If dropped, the command itself is killed; its group only when the pod ends.
pub(super) async fn run(
    argv: &[String],
    place: &Place,
    groups: &Groups,
    stop: &CancellationToken,
    limit: Duration,
) -> Result<Finished, RunError> {
    let mut child = spawn(argv, place).map_err(RunError::Spawn)?;
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(id.cast_signed()))
        .ok_or_else(|| RunError::Spawn(io::Error::other("the command has no process id")))?;
    let running = groups.enter(group);
    if running.is_late() {
        groups.kill();
        reap(&mut child).await;
        return Err(RunError::Stopped);
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async { tokio::join!(drain(stdout), drain(stderr), child.wait()) };
    let ended = stop
        .run_until_cancelled(tokio::time::timeout(limit, output))
        .await;
    let error = match ended {
        Some(Ok((stdout, stderr, status))) => {
            return Ok(Finished {
                stdout,
                stderr,
                exit_code: status.map_or(1, exit_code),
            });
        }
        Some(Err(_)) => RunError::TimedOut,
        None => RunError::Stopped,
    };
    running.kill();
    reap(&mut child).await;
    Err(error)
}

fn spawn(argv: &[String], place: &Place) -> io::Result<Child> {
    // Found here instead of by the system: with an absolute path the standard library can use
    // posix_spawn, which does not copy the page tables of this process.
    let program = find_program(&argv[0], &place.directory)?;
    Command::new(program)
        .arg0(&argv[0])
        .args(&argv[1..])
        .current_dir(&place.directory)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", place.directory.as_os_str())
        .env("LANG", "C.UTF-8")
        .env("HOSTNAME", &*place.host)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// As `execvp`: a name with a slash is a path from the working directory, another is looked up.
fn find_program(name: &str, directory: &Path) -> io::Result<PathBuf> {
    if name.contains('\0') {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    if name.contains('/') {
        return Ok(directory.join(name));
    }
    let mut failure = rustix::io::Errno::NOENT;
    if !name.is_empty() {
        for folder in PATH.split(':') {
            let candidate = Path::new(folder).join(name);
            match rustix::fs::access(&candidate, rustix::fs::Access::EXEC_OK) {
                Ok(()) if candidate.is_file() => return Ok(candidate),
                Ok(()) | Err(rustix::io::Errno::ACCESS) => failure = rustix::io::Errno::ACCESS,
                Err(_) => {}
            }
        }
    }
    Err(failure.into())
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe
        && let Err(error) = pipe.read_to_end(&mut bytes).await
    {
        tracing::debug!(%error, "the output of a command broke off");
    }
    bytes
}

pub(in crate::loopback) async fn reap(child: &mut Child) {
    if let Err(error) = child.wait().await {
        tracing::debug!(%error, "could not wait for a command");
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| -signal))
        .unwrap_or(1)
}
