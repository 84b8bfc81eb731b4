//! The data plane: calls on sandboxes over HTTP/1.1 connections of our own.
//!
//! ```text
//!  commands, files ──Call──► perform ──► Pool ──► connection (TCP, TLS or port-forward)
//! ```
//! One pool per target, shared by all handles to it; one deadline per call.

mod answer;
mod arrival;
mod body;
mod call;
mod dial;
mod grpc;
mod operation;
mod pool;
mod tls;

pub(super) use answer::{Answer, decode};
pub(super) use arrival::Arrival;
pub(super) use body::RequestBody;
pub(super) use call::{Attachments, Call, Repeat, open, perform};
pub(super) use dial::{Host, Network, Route, Router};
pub(super) use grpc::{Channel, GrpcFailure, Sending, code_name, failure};
pub(super) use operation::{Operation, request_id};
pub(super) use pool::{Pool, Pools, Sharing};
