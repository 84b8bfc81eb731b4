//! Pseudo-terminals: opened, sized, read and written; and a process started on one.
//!
//! A terminal becomes a process's controlling terminal only in a session of the process's own. That
//! is made by util-linux's or busybox's `setsid -c`, which replaces itself by the program: the
//! program sees its resolved path as its name instead of the one in the request. Where there is no
//! `setsid`, the process has the terminal on its streams but not as controlling terminal: programs
//! see a tty and its size, but Ctrl-C and hang-ups send no signals.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tonic::Status;

use super::super::runtime::PATH;
use super::command::{Prepared, can_run, look_up};
use crate::api::sandboxd::Pty;

/// The daemon's side of a terminal; closed when dropped, which hangs up on its processes.
#[derive(Debug)]
pub(super) struct Terminal(AsyncFd<OwnedFd>);

impl Terminal {
    /// Opens a terminal and the processes' side of it.
    fn open(size: Pty) -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let far = ioctl_tiocgptpeer(&near, flags)?;
        let status = fcntl_getfl(&near)?;
        fcntl_setfl(&near, status | OFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what that asks for holds for an owned descriptor"
        )]
        let terminal = Self(AsyncFd::new(near)?);
        if size.cols > 0 && size.rows > 0 {
            terminal.resize(size)?;
        }
        Ok((terminal, far))
    }

    /// Changes the size; sizes over 65535 are cut, as upstream does it.
    pub(super) fn resize(&self, size: Pty) -> io::Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "as upstream")]
        let cut = |number: u32| number as u16;
        let size = Winsize {
            ws_row: cut(size.rows),
            ws_col: cut(size.cols),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(self.0.get_ref().as_fd(), size)?)
    }

    /// Reads what processes wrote; 0 when none has the terminal open any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.async_io(Interest::READABLE, |fd| {
            Ok(rustix::io::read(fd, &mut *buffer)?)
        });
        ended(read.await)
    }

    /// As [`read`](Self::read), but what is not there yet is not waited for.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = rustix::io::read(self.0.get_ref(), buffer);
        ended(read.map_err(io::Error::from))
    }

    /// Writes what a process reads.
    ///
    /// # Cancel safety
    /// A part may have been written.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |fd: &OwnedFd| Ok(rustix::io::write(fd, bytes)?);
            let written = self.0.async_io(Interest::WRITABLE, write).await?;
            bytes = &bytes[written.min(bytes.len())..];
        }
        Ok(())
    }
}

/// Linux answers EIO when nobody has the other side open.
fn ended(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
        read => read,
    }
}

/// Starts a process on a new terminal.
///
/// # Errors
/// As [`Prepared::spawn`].
pub(super) fn start(prepared: &Prepared, size: Pty) -> Result<(Child, Arc<Terminal>), Status> {
    let failed = |error: io::Error| prepared.status(&error);
    let (terminal, far) = Terminal::open(size).map_err(failed)?;
    // `setsid` would only say by its exit code that there is nothing to run.
    can_run(&prepared.program).map_err(failed)?;
    let setsid = look_up("setsid", PATH);
    let mut command = prepared.command(setsid.as_deref().map(|setsid| (setsid, "-c")));
    if setsid.is_none() {
        command.process_group(0);
    }
    let stream = || far.try_clone().map(Stdio::from).map_err(failed);
    command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
    let child = prepared.spawn(&mut command)?;
    Ok((child, Arc::new(terminal)))
}
