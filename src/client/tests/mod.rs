//! Tests of the client against small scripted servers: exact requests, broken watches, lost
//! answers. No cluster is needed.

mod building;
mod calls;
mod claims;
mod connections;
mod deletion;
#[cfg(feature = "loopback")]
mod direct_tls;
#[cfg(feature = "loopback")]
mod encrypted;
pub(in crate::client) mod fake;
mod inventory;
mod lost_answers;
mod manage;
mod requests;
mod retries;
mod sandboxd;
mod scope;
mod snapshots;
mod suspend;
mod ways;
