//! Tests of the client against small scripted servers: exact requests, broken watches, lost
//! answers. No cluster is needed.

mod calls;
mod claims;
#[cfg(feature = "loopback")]
mod direct_tls;
#[cfg(feature = "loopback")]
mod encrypted;
pub(in crate::client) mod fake;
mod inventory;
mod manage;
mod requests;
mod retries;
mod sandboxd;
mod scope;
mod snapshots;
mod suspend;
mod ways;
