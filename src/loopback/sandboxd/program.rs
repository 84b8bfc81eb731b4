//! [`SandboxdProgram`]: upstream's own sandboxd as the runtime of a pod, in place of ours.
//!
//! For tests that ask whether a client speaks to the real thing. Upstream's program (0.5.6) listens on
//! 127.0.0.1 alone, as only port-forwards are to reach it; the pod's address leads there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::super::http::Lifetime;
use super::super::pod_directory::PodDirectory;
use super::super::runtime::{PATH, end_strays};
use super::daemon::SandboxdSettings;

/// How long the program may take until it listens.
const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// The variable by which a pod's program is recognised; its prefix makes it part of the metadata.
const IDENTITY: &str = "SANDBOX_LOOPBACK_POD";
/// How long it may take to end what it has started: it grants that two seconds itself.
const END: Duration = Duration::from_secs(5);

/// A running program. Call [`end`](Self::end); dropping it alone leaves what it has started.
#[derive(Debug)]
pub(in crate::loopback) struct SandboxdProgram {
    child: Mutex<Option<Child>>,
    directory: PodDirectory,
    lifetime: Lifetime,
}

impl SandboxdProgram {
    /// Starts the program; it accepts connections when this returns.
    ///
    /// # Errors
    /// The system's error if it cannot be started or does not listen; nothing is left then.
    pub(in crate::loopback) async fn start(
        program: &Path,
        settings: &SandboxdSettings,
    ) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for port in [settings.rest_port, settings.grpc_port] {
            listeners.push(TcpListener::bind(SocketAddr::new(settings.ip, port)).await?);
        }
        let directory = PodDirectory::new(settings.directory.clone());
        directory.make().await?;
        let running = Self {
            child: Mutex::new(None),
            directory,
            lifetime: Lifetime::default(),
        };
        let launched = tokio::time::timeout(START, running.launch(program, settings)).await;
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the program does not listen");
        match launched.unwrap_or_else(|_| Err(late())) {
            Ok(addresses) => {
                for (listener, address) in listeners.into_iter().zip(addresses) {
                    lead(listener, address, &running.lifetime);
                }
                Ok(running)
            }
            Err(error) => {
                running.end().await;
                Err(error)
            }
        }
    }

    /// Starts the program until it has got two ports. It takes numbers, not sockets: what was free
    /// may be taken by another one when it starts.
    async fn launch(
        &self,
        program: &Path,
        settings: &SandboxdSettings,
    ) -> io::Result<[SocketAddr; 2]> {
        loop {
            let addresses = free_addresses().await?;
            let child = self.command(program, settings, addresses).spawn()?;
            *self.child() = Some(child);
            if self.listens(settings, addresses).await? {
                return Ok(addresses);
            }
        }
    }

    fn command(
        &self,
        program: &Path,
        settings: &SandboxdSettings,
        [rest, grpc]: [SocketAddr; 2],
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--rest-port", &rest.port().to_string()])
            .args(["--grpc-port", &grpc.port().to_string()])
            .arg("--root-dir")
            .arg(&**self.directory.path())
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &**self.directory.path())
            .env("HOSTNAME", &settings.name)
            .env(IDENTITY, identity(settings))
            .envs(&settings.environment)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Waits until the program listens; false if it is another one that does, and this one ended.
    async fn listens(
        &self,
        settings: &SandboxdSettings,
        [rest, grpc]: [SocketAddr; 2],
    ) -> io::Result<bool> {
        let own = identity(settings);
        loop {
            let ended = self.child().as_mut().map(Child::try_wait).transpose()?;
            if let Some(Some(status)) = ended {
                return match status.code() {
                    // It could not bind.
                    Some(1) => Ok(false),
                    _ => Err(io::Error::other(format!("the program ended: {status}"))),
                };
            }
            let is_own = metadata(rest).await.is_ok_and(|text| text.contains(&own));
            if is_own && TcpStream::connect(grpc).await.is_ok() {
                return Ok(true);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether it may still be alive.
    pub(in crate::loopback) fn processes(&self) -> usize {
        usize::from(self.child().is_some())
    }

    /// Kills it, without waiting for anything.
    pub(in crate::loopback) fn kill(&self) {
        self.lifetime.stop.cancel();
        if let Some(child) = self.child().as_mut()
            && let Err(error) = child.start_kill()
        {
            tracing::debug!(%error, "a sandboxd had ended already");
        }
    }

    /// Ends it and what it has started, and removes the root.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was not ended yet is left. Run it to its end.
    pub(in crate::loopback) async fn end(&self) {
        let child = self.child().take();
        if let Some(mut child) = child {
            let pid = child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && kill_process(pid, Signal::TERM).is_ok()
                && tokio::time::timeout(END, child.wait()).await.is_err()
                && let Err(error) = child.kill().await
            {
                tracing::debug!(%error, "a sandboxd was not killed");
            }
        }
        self.lifetime.end().await;
        end_strays(self.directory.path()).await;
        self.directory.remove().await;
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two addresses that nobody listens on.
async fn free_addresses() -> io::Result<[SocketAddr; 2]> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let (first, second) = (TcpListener::bind(any).await?, TcpListener::bind(any).await?);
    Ok([first.local_addr()?, second.local_addr()?])
}

/// What tells the program of one pod from those of others.
fn identity(settings: &SandboxdSettings) -> String {
    settings.directory.to_string_lossy().into_owned()
}

/// What a sandboxd tells of its environment.
async fn metadata(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET /v1/metadata HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Passes every connection of a listener on to the program.
fn lead(listener: TcpListener, program: SocketAddr, lifetime: &Lifetime) {
    let tasks = lifetime.clone();
    lifetime.spawn(async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            tasks.spawn(async move {
                let passed = async {
                    let mut inner = TcpStream::connect(program).await?;
                    inner.set_nodelay(true)?;
                    outer.set_nodelay(true)?;
                    copy_bidirectional(&mut outer, &mut inner).await
                };
                if let Err(error) = passed.await {
                    tracing::debug!(%error, "a connection to a sandboxd broke");
                }
            });
        }
    });
}
