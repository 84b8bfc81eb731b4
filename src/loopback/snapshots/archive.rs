//! [`Archive`]: where the files of pods are, and the copies of them that snapshots are.
//!
//! Both stand side by side in the cluster's own directory, so that a copy neither is part of a pod
//! nor outlives the cluster. Copies are made outside the runtime's workers, a few at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::pod_directory::remove_directory;
use super::super::pod_runtime::directory_suffixes;
use super::super::store::Object;
use super::copy::{Original, copy_directory};

/// Copies that are made at the same time.
const AT_A_TIME: usize = 4;

/// The directories of pods and snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::loopback) struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pods: PathBuf,
    copies: PathBuf,
    turns: Semaphore,
}

impl Archive {
    /// Makes both directories in `root`, which must exist.
    ///
    /// # Errors
    /// The system's error.
    pub(in crate::loopback) fn new(root: &Path) -> io::Result<Self> {
        // A pod's runtime compares paths that commands have resolved.
        let root = root.canonicalize()?;
        let (pods, copies) = (root.join("pods"), root.join("snapshots"));
        std::fs::create_dir(&pods)?;
        std::fs::create_dir(&copies)?;
        Ok(Self(Arc::new(Inner {
            pods,
            copies,
            turns: Semaphore::new(AT_A_TIME),
        })))
    }

    /// The path from which the paths of a pod's directories are made.
    pub(in crate::loopback) fn pod(&self, uid: &str) -> PathBuf {
        self.0.pods.join(uid)
    }

    /// How many directories of pods and snapshots there are.
    pub(in crate::loopback) fn directories(&self) -> usize {
        let count = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
        count(&self.0.pods) + count(&self.0.copies)
    }

    /// Copies a running pod's directories under a name.
    ///
    /// # Errors
    /// The system's error; nothing is left then.
    ///
    /// # Cancel safety
    /// Not cancel safe: the copying goes on with nobody waiting. End it with `stop`.
    pub(super) async fn save(
        &self,
        pod: &Object,
        name: &str,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let (from, to) = (self.pod(pod.uid()), self.0.copies.join(name));
        let pairs = pairs(directory_suffixes(pod), &from, &to);
        let saved = self.copy(pairs, Original::InUse, stop).await;
        if saved.is_err() {
            self.remove(name).await;
        }
        saved
    }

    /// Gives a copy another name.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn rename(&self, pod: &Object, name: &str, new: &str) -> io::Result<()> {
        let (from, to) = (self.0.copies.join(name), self.0.copies.join(new));
        for (from, to) in pairs(directory_suffixes(pod), &from, &to) {
            std::fs::rename(from, to)?;
        }
        Ok(())
    }

    /// Whether there is a copy of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let copy = self.0.copies.join(name);
        SUFFIXES.iter().any(|suffix| with(&copy, suffix).is_dir())
    }

    /// Makes the directories of a pod that is about to start from the copy of this name.
    ///
    /// # Errors
    /// The system's error; nothing is left then.
    ///
    /// # Cancel safety
    /// As for [`save`](Self::save).
    pub(super) async fn restore(
        &self,
        pod: &Object,
        name: &str,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let (from, to) = (self.0.copies.join(name), self.pod(pod.uid()));
        let mut pairs = pairs(directory_suffixes(pod), &from, &to);
        pairs.retain(|(from, _)| from.is_dir());
        let restored = self.copy(pairs, Original::AtRest, stop).await;
        if restored.is_err() {
            self.clear(pod).await;
        }
        restored
    }

    /// Removes the copy of this name, if there is one.
    ///
    /// # Cancel safety
    /// If dropped, it is removed with nobody waiting.
    pub(super) async fn remove(&self, name: &str) {
        remove(self.0.copies.join(name)).await;
    }

    /// Removes what there is of a pod that does not run.
    ///
    /// # Cancel safety
    /// If dropped, it is removed with nobody waiting.
    pub(in crate::loopback) async fn clear(&self, pod: &Object) {
        remove(self.pod(pod.uid())).await;
    }

    async fn copy(
        &self,
        pairs: Vec<(PathBuf, PathBuf)>,
        original: Original,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let _turn = self.0.turns.acquire().await.map_err(io::Error::other)?;
        let stop = stop.clone();
        let copying = tokio::task::spawn_blocking(move || {
            let mut pairs = pairs.iter();
            pairs.try_for_each(|(from, to)| {
                if original == Original::InUse {
                    // A runtime to which nobody has spoken has made none yet.
                    std::fs::create_dir_all(from)?;
                }
                copy_directory(from, to, original, &stop)
            })
        });
        copying.await.map_err(io::Error::other)?
    }
}

/// What the names of a pod's directories may have after its UID.
const SUFFIXES: [&str; 2] = ["", super::super::pod_runtime::SANDBOXD_DIRECTORY];

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn pairs(suffixes: Vec<&str>, from: &Path, to: &Path) -> Vec<(PathBuf, PathBuf)> {
    let pair = |suffix| (with(from, suffix), with(to, suffix));
    suffixes.into_iter().map(pair).collect()
}

/// Removes the directories that are named after a path.
async fn remove(path: PathBuf) {
    let removing = tokio::task::spawn_blocking(move || {
        for directory in SUFFIXES.map(|suffix| with(&path, suffix)) {
            remove_directory(&directory);
        }
    });
    if removing.await.is_err() {
        tracing::debug!("a directory was not removed: the runtime is going");
    }
}
