//! sandboxd over real sockets.

mod cluster;
mod execute;
mod rest;
mod start;
mod terminal;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body_util::Full;
use tempfile::TempDir;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use super::super::fault::Faults;
use super::super::testing::{Reply, call, request};
use super::{Sandboxd, SandboxdSettings};
use crate::api::sandboxd::{
    ExecuteRequest, ExecuteResponse, ProcessConfig, ProcessEvent, Pty, ResizeTtyRequest,
    SendSignalRequest, Signal, StartRequest, StartResponse, StdinPayload, WriteStdinRequest,
    method,
};

/// A pod that runs sandboxd, and a client of it.
struct Pod {
    directory: TempDir,
    sandboxd: Sandboxd,
    rest: SocketAddr,
    grpc: Grpc<Channel>,
}

/// An address for one pod: ports that are free now are not any more when a pod of another test wants them.
fn own_address() -> Ipv4Addr {
    static PODS: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id().to_le_bytes()[0];
    Ipv4Addr::new(
        127,
        0,
        process.saturating_add(1),
        PODS.fetch_add(1, Ordering::Relaxed),
    )
}

impl Pod {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Tests put files there before they ask for anything.
        std::fs::create_dir(directory.path().join("pod-1")).unwrap();
        let (address, rest, grpc) = (own_address(), 8080, 9090);
        let variables = [
            ("SANDBOX_NAME", "box"),
            ("SANDBOX_API_TOKEN", "x"),
            ("SANDBOX_MONKEY", "x"),
            ("OTHER", "y"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = SandboxdSettings {
            name: "pod-1".to_owned(),
            ip: address.into(),
            rest_port: rest,
            grpc_port: grpc,
            directory: directory.path().join("pod-1"),
            environment: BTreeMap::from(variables),
            faults: Faults::default(),
        };
        let sandboxd = Sandboxd::start(settings).await.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}:{grpc}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self {
            directory,
            sandboxd,
            rest: (address, rest).into(),
            grpc: Grpc::new(channel),
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("pod-1")
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Reply {
        call(self.rest, request).await.unwrap()
    }

    /// Status and body.
    async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let reply = self.call(request(method, path, body.to_owned())).await;
        (reply.status.as_u16(), reply.text().to_owned())
    }

    async fn unary<Q, A>(&mut self, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.grpc.ready().await.unwrap();
        let request = tonic::Request::new(message);
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.grpc.unary(request, path, codec).await?;
        Ok(answer.into_inner())
    }

    async fn execute(&mut self, config: ProcessConfig) -> Result<ExecuteResponse, Status> {
        let config = Some(config);
        self.unary(method::EXECUTE, ExecuteRequest { config }).await
    }

    /// What a shell prints.
    async fn shell(&mut self, text: &str) -> (i32, String, String) {
        let answer = self.execute(shell(text)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (stdout, stderr) = (text(&answer.stdout), text(&answer.stderr));
        (answer.exit_code, stdout, stderr)
    }

    async fn start_with(
        &mut self,
        config: ProcessConfig,
        pty: Option<Pty>,
    ) -> Result<Streaming<StartResponse>, Status> {
        self.grpc.ready().await.unwrap();
        let config = Some(config);
        let request = tonic::Request::new(StartRequest { config, pty });
        let path = PathAndQuery::from_static(method::START);
        let codec = ProstCodec::<StartRequest, StartResponse>::default();
        let answer = self.grpc.server_streaming(request, path, codec).await?;
        Ok(answer.into_inner())
    }

    /// Starts a process; its number and its further events.
    async fn begin(
        &mut self,
        config: ProcessConfig,
        pty: Option<Pty>,
    ) -> (i32, Streaming<StartResponse>) {
        let mut events = self.start_with(config, pty).await.unwrap();
        match next(&mut events).await.unwrap() {
            ProcessEvent::Init(init) => (init.process_id, events),
            other => panic!("the first event is {other:?}"),
        }
    }

    async fn write(&mut self, process_id: i32, payload: StdinPayload) -> Result<(), Status> {
        let request = WriteStdinRequest {
            process_id,
            payload: Some(payload),
        };
        self.unary(method::WRITE_STDIN, request).await
    }

    async fn input(&mut self, process_id: i32, text: &'static str) {
        let input = StdinPayload::Input(Bytes::from_static(text.as_bytes()));
        self.write(process_id, input).await.unwrap();
    }

    async fn signal(&mut self, process_id: i32, signal: Signal) -> Result<(), Status> {
        let signal = signal.into();
        let request = SendSignalRequest { process_id, signal };
        self.unary(method::SEND_SIGNAL, request).await
    }

    async fn resize(&mut self, process_id: i32, cols: u32, rows: u32) -> Result<(), Status> {
        let request = ResizeTtyRequest {
            process_id,
            cols,
            rows,
        };
        self.unary(method::RESIZE_TTY, request).await
    }

    async fn until_no_process(&self) {
        let none = async {
            while self.sandboxd.processes() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), none).await;
        waited.expect("every process ends");
    }

    async fn end(self) {
        self.sandboxd.end(Duration::ZERO).await;
        self.until_no_process().await;
        assert!(!self.root().exists());
    }
}

fn command(words: &[&str]) -> ProcessConfig {
    ProcessConfig {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        ..ProcessConfig::default()
    }
}

fn shell(text: &str) -> ProcessConfig {
    command(&["/bin/sh", "-c", text])
}

async fn next(events: &mut Streaming<StartResponse>) -> Option<ProcessEvent> {
    let message = events.message().await.unwrap()?;
    Some(message.event.unwrap())
}

/// Reads to the end: output, errors, exit code, largest chunk.
async fn rest_of(events: &mut Streaming<StartResponse>) -> (String, String, i32, usize) {
    let (mut out, mut err, mut largest) = (Vec::new(), Vec::new(), 0);
    while let Some(event) = next(events).await {
        match event {
            ProcessEvent::Init(_) => panic!("a second first event"),
            ProcessEvent::Stdout(bytes) => {
                largest = largest.max(bytes.len());
                out.extend_from_slice(&bytes);
            }
            ProcessEvent::Stderr(bytes) => err.extend_from_slice(&bytes),
            ProcessEvent::Exit(exit) => {
                assert_eq!(next(events).await, None, "nothing comes after the end");
                let text = |bytes| String::from_utf8(bytes).unwrap();
                return (text(out), text(err), exit.exit_code, largest);
            }
        }
    }
    panic!("the stream ended without an exit code");
}

/// As [`until_out`], from the first event on.
async fn until_running(events: &mut Streaming<StartResponse>, text: &str) {
    let first = next(events).await;
    assert!(matches!(first, Some(ProcessEvent::Init(_))), "{first:?}");
    until_out(events, text).await;
}

/// Reads output until it contains a text.
async fn until_out(events: &mut Streaming<StartResponse>, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        match next(events).await {
            Some(ProcessEvent::Stdout(bytes)) => {
                all.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            other => panic!("{other:?} after {all:?}"),
        }
    }
    all
}

fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), status.message().to_owned())
}
