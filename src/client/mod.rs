//! A complete client for Kubernetes Agent Sandboxes, usable without the rest of sandbench.
//!
//! [`Client`] speaks to the Kubernetes API server: it creates claims, waits for them on one shared
//! watch, and deletes them. [`Sandbox`] speaks to what runs in a sandbox, over one of the ways in
//! [`connect`]: commands and files. Every call is one attempt, bounded by one deadline, and every
//! error tells whether the request can have been received.

mod builder;
mod claim;
mod commands;
pub mod connect;
mod core;
mod error;
mod files;
mod sandbox;

pub use builder::{ClientBuilder, Dns};
pub use claim::{
    Claim, ClaimSource, ClaimTimings, CreateRequest, LaunchType, ReadyClaim, random_claim_name,
};
pub use commands::{Command, Commands, ExecutionResult};
pub use connect::ConnectionMode;
pub use core::{Client, Deleted, Leftovers};
pub use error::{
    BoxError, BuildError, CallError, ConnectError, CreateError, DeleteError, Delivered, KubeError,
    Operation, ReadyError, Verb, WaitError,
};
pub use files::{FileEntry, Files};
pub use sandbox::Sandbox;

pub use crate::api::ApiVersion;
