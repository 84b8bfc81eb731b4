//! The loopback cluster.
mod address;
mod config;
mod controller;
mod dns;
mod gateway;
mod http;
mod kubelet;
mod router;
mod runtime;
mod store;
