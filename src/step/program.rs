//! [`Program`]: a local process that cannot outlive the step that started it.
//!
//! It leads a process group of its own. When it has ended, or is dropped before, the whole group is
//! killed, so that nothing it started in the background stays.

use std::io;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::StepError;
use crate::units::ByteSize;

/// The most that is read of each output: these are values for expressions, not files.
const OUTPUT_LIMIT: ByteSize = ByteSize(1 << 20);

/// A process that runs.
pub(super) struct Program {
    name: String,
    child: Child,
    group: Group,
}

/// What a process left.
pub(super) struct Ended {
    pub(super) exit_code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The processes of a group; killed when it goes.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            // An error means that there is none any more.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Program {
    /// Starts a command whose three streams are pipes.
    pub(super) fn start(mut command: Command, name: String) -> Result<Self, StepError> {
        match command.process_group(0).kill_on_drop(true).spawn() {
            Ok(child) => {
                let leader = child.id().and_then(|id| i32::try_from(id).ok());
                Ok(Self {
                    name,
                    group: Group(leader.and_then(Pid::from_raw)),
                    child,
                })
            }
            Err(source) => Err(StepError::Script {
                program: name,
                source,
            }),
        }
    }

    /// Hands it its input and waits for its end.
    pub(super) async fn finish(self, stdin: &str) -> Result<Ended, StepError> {
        let Self {
            name,
            mut child,
            group,
        } = self;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut input) = input {
                // A program need not read its input.
                let _unread = input.write_all(stdin.as_bytes()).await;
            }
        };
        let wait = async {
            let status = child.wait().await;
            drop(group);
            status
        };
        let ((), stdout, stderr, status) = tokio::join!(feed, text(output), text(errors), wait);
        let failed = |source| StepError::Script {
            program: name.clone(),
            source,
        };
        let status = status.map_err(failed)?;
        let signal = || status.signal().map_or(-1, |signal| -signal);
        Ok(Ended {
            exit_code: status.code().unwrap_or_else(signal),
            stdout: stdout.map_err(failed)?,
            stderr: stderr.map_err(failed)?,
        })
    }
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let mut stream = stream.take(OUTPUT_LIMIT.0 + 1);
        stream.read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > OUTPUT_LIMIT.0 {
        let problem = format!("it wrote more than {OUTPUT_LIMIT}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Program::start(command, "sh".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_program_has_its_input_and_leaves_its_outputs_and_its_exit_code() {
        let ended = shell("cat; echo oops >&2; exit 7").finish("in").await;
        let ended = ended.unwrap();
        let seen = (&*ended.stdout, &*ended.stderr, ended.exit_code);
        assert_eq!(seen, ("in", "oops\n", 7));
        let ended = shell("kill -9 $$").finish("").await.unwrap();
        assert_eq!(ended.exit_code, -9);
    }

    #[tokio::test]
    async fn what_it_started_in_the_background_ends_with_it() {
        // Without the end of the background process, its open output would never end.
        let ended = shell("sleep 1000 & echo $!").finish("").await.unwrap();
        assert!(ended.stdout.trim().parse::<i32>().is_ok());
    }

    #[tokio::test]
    async fn too_much_output_is_an_error() {
        let ended = shell("head -c 2000000 /dev/zero").finish("").await;
        let source = ended
            .err()
            .and_then(|error| std::error::Error::source(&error).map(ToString::to_string));
        assert_eq!(source.as_deref(), Some("it wrote more than 1MiB"));
    }
}
