//! The loopback cluster.
mod store;
