//! Messages and bodies of the sandboxd runtime: gRPC service `process.v1.ProcessService` on port 9090
//! and REST under `/v1` on port 8080.
//!
//! The messages are derived from these structs, so that a build needs no `protoc`; the numbers are the
//! wire format. Source: KEP-539.2 of kubernetes-sigs/agent-sandbox and its sandboxd, v0.5.6.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Full name of the gRPC service.
pub const SERVICE: &str = "process.v1.ProcessService";

/// Paths of the methods of [`SERVICE`], as they stand in an HTTP/2 request.
pub mod method {
    /// Starts a process and streams its events.
    pub const START: &str = "/process.v1.ProcessService/Start";
    /// Runs a process to its end.
    pub const EXECUTE: &str = "/process.v1.ProcessService/Execute";
    /// Writes to a process's standard input or closes it.
    pub const WRITE_STDIN: &str = "/process.v1.ProcessService/WriteStdin";
    /// Signals a process's group.
    pub const SEND_SIGNAL: &str = "/process.v1.ProcessService/SendSignal";
    /// Changes a pseudo-terminal's size.
    pub const RESIZE_TTY: &str = "/process.v1.ProcessService/ResizeTTY";
}

/// What to run.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProcessConfig {
    /// Program and arguments; no shell in between.
    #[prost(string, repeated, tag = "1")]
    pub command: Vec<String>,
    /// Variables over the daemon's own.
    #[prost(btree_map = "string, string", tag = "2")]
    pub env_vars: BTreeMap<String, String>,
    /// Working directory inside the sandbox's root; the root if absent.
    #[prost(string, optional, tag = "3")]
    pub cwd: Option<String>,
}

/// A pseudo-terminal's size.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Pty {
    /// Columns.
    #[prost(uint32, tag = "1")]
    pub cols: u32,
    /// Rows.
    #[prost(uint32, tag = "2")]
    pub rows: u32,
}

/// Request of `Start`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StartRequest {
    /// What to run.
    #[prost(message, optional, tag = "1")]
    pub config: Option<ProcessConfig>,
    /// Run it on a pseudo-terminal of this size; stderr is then merged into stdout.
    #[prost(message, optional, tag = "2")]
    pub pty: Option<Pty>,
}

/// The first event of a started process.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct InitEvent {
    /// The daemon's own number of the process, from 1; not an OS process id.
    #[prost(int32, tag = "1")]
    pub process_id: i32,
}

/// The last event of a started process.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ExitEvent {
    /// Exit code; -1 for a signal.
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
}

/// One event of a started process.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum ProcessEvent {
    /// It runs. Always first.
    #[prost(message, tag = "1")]
    Init(InitEvent),
    /// Bytes of its standard output, in order.
    #[prost(bytes = "bytes", tag = "2")]
    Stdout(bytes::Bytes),
    /// Bytes of its standard error, in order.
    #[prost(bytes = "bytes", tag = "3")]
    Stderr(bytes::Bytes),
    /// It ended. Always last.
    #[prost(message, tag = "4")]
    Exit(ExitEvent),
}

/// Streamed answer of `Start`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StartResponse {
    /// The event.
    #[prost(oneof = "ProcessEvent", tags = "1, 2, 3, 4")]
    pub event: Option<ProcessEvent>,
}

/// Request of `Execute`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ExecuteRequest {
    /// What to run.
    #[prost(message, optional, tag = "1")]
    pub config: Option<ProcessConfig>,
}

/// Answer of `Execute`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ExecuteResponse {
    /// Exit code; -1 for a signal.
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    /// What it wrote to its standard output.
    #[prost(bytes = "bytes", tag = "2")]
    pub stdout: bytes::Bytes,
    /// What it wrote to its standard error.
    #[prost(bytes = "bytes", tag = "3")]
    pub stderr: bytes::Bytes,
}

/// What `WriteStdin` does.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum StdinPayload {
    /// Write these bytes.
    #[prost(bytes = "bytes", tag = "2")]
    Input(bytes::Bytes),
    /// Close standard input (`google.protobuf.Empty`).
    #[prost(message, tag = "3")]
    Eof(()),
}

/// Request of `WriteStdin`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WriteStdinRequest {
    /// Number from [`InitEvent`].
    #[prost(int32, tag = "1")]
    pub process_id: i32,
    /// What to do.
    #[prost(oneof = "StdinPayload", tags = "2, 3")]
    pub payload: Option<StdinPayload>,
}

/// Signals that sandboxd sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Signal {
    /// None; refused.
    Unspecified = 0,
    /// `SIGINT`
    Interrupt = 2,
    /// `SIGKILL`
    Kill = 9,
    /// `SIGTERM`
    Terminate = 15,
}

/// Request of `SendSignal`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SendSignalRequest {
    /// Number from [`InitEvent`].
    #[prost(int32, tag = "1")]
    pub process_id: i32,
    /// The signal, for the whole process group.
    #[prost(enumeration = "Signal", tag = "2")]
    pub signal: i32,
}

/// Request of `ResizeTTY`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ResizeTtyRequest {
    /// Number from [`InitEvent`].
    #[prost(int32, tag = "1")]
    pub process_id: i32,
    /// Columns.
    #[prost(uint32, tag = "2")]
    pub cols: u32,
    /// Rows.
    #[prost(uint32, tag = "3")]
    pub rows: u32,
}

/// Answer of `WriteStdin`, `SendSignal` and `ResizeTTY`: an empty message.
pub type Done = ();

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// An entry of a directory listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name without directory.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// File or directory; symbolic links are resolved.
    #[serde(rename = "type")]
    pub kind: EntryType,
    /// Last change, RFC 3339 in UTC with whole seconds.
    pub modified_at: String,
    /// Permission bits, four octal digits.
    pub mode: String,
}

/// Answer to `GET /v1/files/{path}` for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The path as asked for, with a leading slash.
    pub path: String,
    /// Entries sorted by name.
    pub entries: Vec<Entry>,
}

/// Body of every REST failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `NOT_FOUND`, `PERMISSION_DENIED`, `INVALID_ARGUMENT`, `CONFLICT`, `UNAVAILABLE` or `INTERNAL`.
    pub code: String,
    /// Explanation.
    pub message: String,
}

/// Answer to `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: f64,
}

/// Answer to `GET /v1/metadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The daemon's variables that begin with its prefix and do not look like secrets.
    pub env: BTreeMap<String, String>,
}
