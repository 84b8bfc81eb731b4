//! The legacy runtime that runs in pods, on port 8888.
//!
//! A [`LegacyRuntime`] is one pod's listener, its directory and the process groups of its commands.
//! It accepts connections before [`LegacyRuntime::start`] returns and leaves nothing after
//! [`LegacyRuntime::end`]. Answers are byte for byte those of the upstream legacy Python runtime.

mod download;
mod execute;
mod files;
mod path;
mod process;
mod reply;
mod server;
mod strays;
mod words;

pub(super) use process::{Groups, PATH, is_ours, reap};
pub(crate) use server::{LegacyRuntime, LegacySettings};
pub(super) use strays::end_strays;
#[cfg(test)]
pub(super) use strays::sweep;

#[cfg(test)]
mod tests;
