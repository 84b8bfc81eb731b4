//! The sandboxd runtime (KEP-539.2): files over REST on port 8080, processes over gRPC on port 9090.
//!
//! A [`Sandboxd`] is one pod's two listeners, its root directory and its processes. Both listeners
//! accept before [`Sandboxd::start`] returns; nothing is left after [`Sandboxd::end`]. Answers are
//! those of upstream's sandboxd, v0.5.6, except that gRPC reflection is not served.

mod command;
mod content;
mod daemon;
mod execute;
mod files;
mod grpc;
mod path;
mod processes;
mod program;
mod pty;
mod reply;
mod rest;
mod stream;

pub(super) use daemon::{Sandboxd, SandboxdSettings};
pub(super) use program::SandboxdProgram;

#[cfg(test)]
mod tests;
