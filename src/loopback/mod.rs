//! The loopback cluster: a small Kubernetes cluster with Agent Sandbox on 127.0.0.0/8.
//!
//! ```text
//!            API server ◄──► store ◄──► controllers: claim, warm pool, sandbox, template
//!                              ▲                     kubelet, endpoints, gateway
//!  gateway ──► router ──► runtime of a pod (legacy on podIP:8888, or sandboxd on 8080 and
//!                                     9090; real commands in the pod's directory)
//!              name server (UDP): Services of pods and of the router
//! ```
//!
//! It is a stand-in for protocol and latency, not isolation: commands run as the user who started it.
//! It shares only [`crate::api`], [`crate::units`] and the records of [`crate::trace`] with the rest of the crate.

mod address;
mod api_server;
mod certificate;
mod cluster;
mod config;
mod controller;
mod conversion;
mod dns;
mod error;
mod fault;
mod gateway;
mod http;
mod json;
mod kubelet;
mod leftovers;
mod pod_directory;
mod pod_runtime;
mod pod_status;
mod router;
mod runtime;
mod sandboxd;
mod served;
mod services;
mod snapshots;
mod spans;
mod store;
#[cfg(test)]
mod testing;
mod token;
mod upstream;

pub use cluster::Cluster;
pub use config::{ClusterConfig, Delay, Delays, ParseDelayError};
pub use error::LoopbackError;
pub use fault::{Fault, ParseFaultError};
pub use leftovers::Leftovers;
pub use served::{ServedVersions, UnknownVersions};
pub use spans::SpanSink;
pub use token::{RouterAuth, Token};
