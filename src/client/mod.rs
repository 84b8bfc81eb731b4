//! A complete client for Kubernetes Agent Sandboxes, usable without the rest of sandbench.
//!
//! [`Client`] speaks to the Kubernetes API server: it creates claims, waits for them on one shared
//! watch, and deletes them. [`Sandbox`] speaks to what runs in a sandbox, over one of the ways in
//! [`connect`]: commands and files. Every call is one attempt unless a [`RetryPolicy`] asks for more,
//! all bounded by one deadline, and every error tells whether the request can have been received.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use sandbench::client::{ClaimSource, Client, ConnectionMode, CreateRequest, connect::Tunnel};
//!
//! let client = Client::builder().infer().run_id("example-1").build().await?;
//! let mut request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
//! request.time_to_live = Some(Duration::from_secs(600));
//! let claim = client.create(request).await?;
//! let ready = claim.wait_ready(client.ready_timeout()).await?;
//!
//! let mode = ConnectionMode::Tunnel(Tunnel::default());
//! let sandbox = client.connect(&ready, &mode).await?;
//! let result = sandbox.commands().run("echo hello").await?;
//! assert_eq!(result.stdout, "hello\n");
//!
//! client.delete(claim.name(), Some(claim.uid())).await?;
//! client.close().await;
//! # Ok(())
//! # }
//! ```

mod adopt;
mod agent;
mod attempt;
mod attempts;
mod builder;
mod claim;
mod clock;
mod cluster;
mod commands;
pub mod connect;
mod core;
mod create;
mod data;
mod delete;
mod dns;
mod encode;
mod error;
mod files;
mod gone;
mod grpc;
mod health;
mod hub;
mod inventory;
mod known;
mod leftovers;
mod manage;
mod options;
mod preflight;
mod process_control;
mod processes;
mod ready;
mod refresh;
mod restore;
mod retry;
mod runs;
mod runtime;
mod sandbox;
mod scope;
mod snapshots;
mod status;
mod suspend;
mod tasks;
mod templates;
mod transfer;
mod validate;
mod volumes;
mod warm_pools;

pub use agent::AgentQuery;
pub use attempts::{Attempt, AttemptCounts, AttemptObserver, AttemptOutcome, AttemptTarget};
pub use builder::{ClientBuilder, Dns};
pub use claim::{
    AccessMode, Claim, ClaimOrigin, ClaimSource, ClaimTimings, CreateRequest, EnvRequest, Existing,
    LaunchType, ReadyClaim, VolumeRequest, WarmStart, random_claim_name,
};
pub use commands::{Command, CommandLine, Commands, ExecutionResult};
pub use connect::ConnectionMode;
pub use core::Client;
pub use delete::Deleted;
pub use error::{
    BoxError, BuildError, CallError, ConnectError, CreateError, DeleteAndWaitError, DeleteError,
    Delivered, KubeError, ManageError, OpenError, Operation, PreflightError, ReadyError,
    ReconnectError, RestoreError, SuspendError, Verb, WaitError,
};
pub use files::{FileEntry, FileMode, Files, Recursive};
pub use health::Health;
pub use inventory::{ClaimEntry, ClaimPages, DeleteOutcome};
pub use leftovers::Leftovers;
pub use options::CallOptions;
pub use preflight::Needs;
pub use process_control::{ProcessControl, Signal};
pub use processes::{
    Process, ProcessEvent, ProcessOutput, ProcessRequest, Processes, TerminalSize,
};
pub use restore::Resumed;
pub use retry::RetryPolicy;
pub use runs::{Reach, Renewed, RunClaim};
pub use runtime::{Runtime, SandboxdPorts};
pub use sandbox::{Drained, Sandbox};
pub use scope::SandboxScope;
pub use snapshots::{Snapshot, SnapshotFilter, SnapshotReadiness};
pub use status::{SandboxDetails, SandboxState};
pub use templates::{Service, Template, TemplateRequest};
pub use transfer::Download;
pub use warm_pools::{WarmPool, WarmPoolRequest};

pub use crate::api::ApiVersion;
pub use crate::api::runtime::FileType;

/// How the client names itself to servers.
const USER_AGENT: &str = concat!("sandbench/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
