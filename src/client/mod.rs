//! A complete client for Kubernetes Agent Sandboxes, usable without the rest of sandbench.
//!
//! [`Client`] speaks to the Kubernetes API server: it creates claims, waits for them on one shared
//! watch, and deletes them. [`Sandbox`] speaks to what runs in a sandbox, over one of the ways in
//! [`connect`]: commands and files. Every call is one attempt unless a [`RetryPolicy`] asks for more,
//! all bounded by one deadline, and every error tells whether the request can have been received.
//!
//! Where to begin: [`Client::builder`], then [`Client::scope`] for sandboxes that end with a piece of
//! work, or [`Client::create`] for claims of one's own; [`Blocking`] in programs that are not
//! asynchronous. What can go wrong is an enum per area ([`BuildError`], [`CreateError`],
//! [`ReadyError`], [`ConnectError`], [`CallError`], …): each variant can be matched, has its cause
//! as `source`, and `help()` says what can be done. Each method says what becomes of the call if
//! its future is dropped.
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
//!
//! A whole life that needs nothing to be installed, on the loopback cluster of the feature `loopback`:
//!
#![cfg_attr(feature = "loopback", doc = "```")]
#![cfg_attr(not(feature = "loopback"), doc = "```ignore")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sandbench::client::connect::InClusterPodIp;
//! use sandbench::client::{ClaimSource, Client, ConnectionMode, CreateRequest};
//! use sandbench::client::{TemplateRequest, WarmPoolRequest};
//! use sandbench::loopback::{Cluster, ClusterConfig};
//!
//! let cluster = Cluster::start(ClusterConfig::default()).await?;
//! let kubeconfig = kube::config::Kubeconfig::from_yaml(&cluster.kubeconfig())?;
//! let options = kube::config::KubeConfigOptions::default();
//! let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
//! let client = Client::builder().kubernetes(config).build().await?;
//!
//! let pod = serde_json::json!({"spec": {"containers": [{"name": "c", "image": "python"}]}});
//! client.create_template(TemplateRequest::new("python", pod)).await?;
//! client.create_warm_pool(WarmPoolRequest::new("python", "python")).await?;
//!
//! let scope = client.scope();
//! let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
//! let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
//! let sandbox = scope.open(request, &mode).await?;
//! let files = sandbox.files();
//! files.write("data/in.txt", "3 4").await?;
//! let sum = sandbox.commands().run_shell("read a b <data/in.txt; echo $((a + b))").await?;
//! assert_eq!((sum.stdout.as_str(), sum.exit_code), ("7\n", 0));
//! assert_eq!(files.list("data").await?.len(), 1);
//! scope.close().await?;
//! client.close().await;
//! assert!(cluster.shutdown().await.is_empty());
//! # Ok(())
//! # })
//! # }
//! ```

mod access;
mod adopt;
mod agent;
mod attempt;
mod attempt_cause;
mod attempts;
mod blocking;
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
mod departures;
mod dns;
mod encode;
mod error;
mod evidence;
mod file_calls;
mod files;
mod flow_control;
mod gone;
mod grpc;
mod health;
mod hub;
mod inventory;
mod known;
mod leftovers;
mod manage;
mod moved;
mod options;
mod pods;
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
mod spans;
mod status;
mod suspend;
mod tasks;
mod templates;
mod transfer;
mod validate;
mod volumes;
mod warm_pools;

pub use agent::AgentQuery;
pub use attempt_cause::AttemptCause;
pub use attempts::{
    Attempt, AttemptCounts, AttemptObserver, AttemptOutcome, AttemptScope, AttemptTarget,
};
pub use blocking::Blocking;
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
pub use flow_control::FlowControl;
pub use health::Health;
pub use inventory::{ClaimEntry, ClaimPages, DeleteOutcome};
pub use leftovers::Leftovers;
pub use options::CallOptions;
pub use pods::{Phases, PodMoment, PodTimes, ServerTimes, WatchPodsError};
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

#[cfg(feature = "harness")]
pub(crate) use spans::traceparent;

pub use crate::api::ApiVersion;
pub use crate::api::runtime::FileType;

/// How the client names itself to servers.
const USER_AGENT: &str = concat!("sandbench/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
