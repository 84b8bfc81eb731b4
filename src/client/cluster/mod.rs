//! The Kubernetes API server: configuration, connections, requests and watches.
//!
//! Built from kube's parts (configuration, credentials, TLS), but with `TCP_NODELAY` on every
//! socket, without silent retries, and with requests of our own, so that each failure is seen.

mod answer;
mod api;
mod clock;
mod collection;
mod config;
mod envelope;
mod exchange;
mod follow;
mod followed;
mod lines;
mod patch;
mod shards;
mod stack;
mod version;
mod watch;

pub(super) use api::{Api, Connections, with_body};
pub(super) use collection::{Collection, Resource, Selector};
pub(super) use config::load;
pub(super) use follow::{Change, Follower, Start};
pub(super) use followed::{Followed, followed};
pub(super) use shards::{SHARDS, Shards};
pub(super) use stack::{Protocol, connect};
pub(super) use version::discover;
