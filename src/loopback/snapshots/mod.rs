//! Snapshots of pods as GKE takes them: asked for by a trigger, kept as a copy of the pod's files,
//! and restored when a pod of the same sandbox starts.
//!
//! GKE keeps memory and processes too; here only files outlive their pod. Source of kinds, labels
//! and conditions: Python SDK 1.0.8.

mod archive;
mod controller;
mod copy;
mod restore;

pub(super) use archive::Archive;
pub(super) use controller::start;
pub(super) use restore::restore;

#[cfg(test)]
mod tests;
