//! The process groups of a pod's commands, so that none outlives the pod.
//!
//! A group is remembered until it is empty: a command may end and leave children of its own running
//! in the background. As long as a group has a member its number is not given to another.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The groups that may still have members.
#[derive(Debug, Default)]
pub(in crate::loopback) struct Processes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    groups: HashSet<i32>,
    closed: bool,
}

impl Processes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a group that was just started. In a pod that is ending it is killed at once.
    pub(super) fn started(&self, group: u32) {
        let Ok(group) = i32::try_from(group) else {
            return;
        };
        let mut state = self.lock();
        if state.closed {
            kill(group);
        } else {
            state.groups.insert(group);
        }
    }

    /// Kills a group: a command that took too long.
    pub(super) fn kill(&self, group: u32) {
        if let Ok(group) = i32::try_from(group) {
            kill(group);
        }
    }

    /// Forgets a group whose first process was waited for, unless others of it still run.
    pub(super) fn ended(&self, group: u32) {
        let Ok(group) = i32::try_from(group) else {
            return;
        };
        if !lives(group) {
            self.lock().groups.remove(&group);
        }
    }

    /// Kills everything, also what is started from now on.
    pub(super) fn kill_all(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.groups.iter().copied().for_each(kill);
    }

    /// How many groups still have a member.
    pub(super) fn live(&self) -> usize {
        let mut state = self.lock();
        state.groups.retain(|group| lives(*group));
        state.groups.len()
    }
}

fn kill(group: i32) {
    if let Some(pid) = Pid::from_raw(group)
        && let Err(error) = kill_process_group(pid, Signal::KILL)
        && error != Errno::SRCH
    {
        tracing::warn!(%error, group, "could not kill a process group");
    }
}

fn lives(group: i32) -> bool {
    Pid::from_raw(group).is_some_and(|pid| test_kill_process_group(pid).is_ok())
}
