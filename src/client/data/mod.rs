//! The data plane: calls on sandboxes over HTTP/1.1 connections of our own.
//!
//! ```text
//!  commands, files ──Call──► perform ──► Pool ──► connection (TCP, TLS or port-forward)
//! ```
//! One pool per target, shared by all handles to it; one deadline per call.

mod body;
mod call;
mod dial;
mod pool;
mod tls;

pub(super) use body::RequestBody;
pub(super) use call::{Attachments, Call, Operation, Repeat, decode, perform, request_id};
pub(super) use dial::{Host, Network, Route, Router};
pub(super) use pool::{Pool, Pools, Sharing};
