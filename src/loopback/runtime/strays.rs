//! Processes that have fled from their groups: found by their home or working directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long killed processes may take to disappear before they count as left behind.
const LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// Kills every process of `root` until none is left or the time is up; returns how many are left.
/// For the end of a cluster, or of a pod with a terminal.
///
/// # Cancel safety
/// If dropped, some may live on.
pub(in crate::loopback) async fn end_strays(root: &Path) -> usize {
    let gone = async {
        while sweep(root) > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(LIMIT, gone).await {
        Ok(()) => 0,
        Err(_) => sweep(root),
    }
}

/// Kills every process whose home or working directory is `root` or in it, wherever it has fled to
/// (a session of its own, say), and returns how many there were. Looks at all processes.
pub(crate) fn sweep(root: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let mut killed = 0;
    for entry in processes.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let ours = lives_in(&entry.path(), root);
        if let (true, Some(pid)) = (ours, Pid::from_raw(pid)) {
            killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
        }
    }
    killed
}

/// Whether home or working directory of a process, given by its directory in `/proc`, is in `root`.
fn lives_in(process: &Path, root: &Path) -> bool {
    if std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(root)) {
        return true;
    }
    let environment = std::fs::read(process.join("environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_prefix(b"HOME="))
        .any(|home| Path::new(OsStr::from_bytes(home)).starts_with(root))
}
