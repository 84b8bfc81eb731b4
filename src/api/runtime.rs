//! Bodies of the legacy python-runtime's HTTP API (port 8888).
//!
//! Source: the runtime of kubernetes-sigs/agent-sandbox and Python SDK 1.0.8.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::metadata::null_is_default;

/// Body of `POST /execute`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecuteRequest<'a> {
    /// The command line. The runtime splits it like a shell but runs it without one.
    pub command: Cow<'a, str>,
    /// Seconds after which the runtime ends the command (newer runtimes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
}

/// Answer to `POST /execute`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteResponse {
    /// What the command wrote to its standard output.
    #[serde(default, deserialize_with = "null_is_default")]
    pub stdout: String,
    /// What the command wrote to its standard error.
    #[serde(default, deserialize_with = "null_is_default")]
    pub stderr: String,
    /// Exit code; negative for a signal; -1 if the runtime did not tell.
    #[serde(default = "unknown_exit_code")]
    pub exit_code: i32,
    /// Whether the runtime ended the command because of its limit.
    #[serde(default, deserialize_with = "null_is_default")]
    pub timed_out: bool,
}

/// Body of `POST /agent` (images for computer use).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRequest {
    /// What the agent is to do, in words.
    pub query: String,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One entry of the answer to `GET /list/<path>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListEntry {
    /// Name within the directory.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// File or directory.
    #[serde(rename = "type")]
    pub kind: FileType,
    /// Last change, seconds since 1970.
    pub mod_time: f64,
}

/// Answer to `GET /exists/<path>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistsResponse {
    /// The path asked for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub path: String,
    /// Whether it exists.
    #[serde(default, deserialize_with = "null_is_default")]
    pub exists: bool,
}

/// Answer to `GET /`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResponse {
    /// `ok`.
    pub status: String,
    /// For people.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: String,
}

/// A short answer: of an upload, or of an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: String,
}

fn unknown_exit_code() -> i32 {
    -1
}
