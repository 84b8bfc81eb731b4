//! The sandbox runtimes that run in pods: for now the legacy runtime on port 8888.
//!
//! A [`PodRuntime`] is one pod's listener, its directory and the process groups of its commands.
//! It accepts connections before [`PodRuntime::start`] returns and leaves nothing after
//! [`PodRuntime::end`]. Answers are byte for byte those of the upstream legacy Python runtime.

mod download;
mod execute;
mod files;
mod path;
mod process;
mod reply;
mod server;
mod words;

pub(crate) use process::sweep;
pub(crate) use server::{PodRuntime, PodSettings};

#[cfg(test)]
mod tests;
