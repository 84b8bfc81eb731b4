//! Paths of the file calls: decoded twice, resolved, and kept inside the pod's directory.
//!
//! The legacy runtime's framework decodes the request path once and its handler a second time, so a
//! name with a literal `%XX` comes out changed; absolute paths count from the directory.

use std::io;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Symbolic links that are followed in one path, as the kernel does.
const MAX_LINKS: usize = 40;

/// Decodes `%XX` once; invalid UTF-8 becomes U+FFFD, as in Python.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The place that `path` names, or `None` if it is outside of `base`. Blocks on the file system.
///
/// `base` must itself be resolved. What does not exist is taken as written.
pub(super) fn confine(base: &Path, path: &str) -> Option<PathBuf> {
    if path.contains('\0') {
        return None;
    }
    let resolved = resolve(base, Path::new(path.trim_start_matches('/')));
    resolved.starts_with(base).then_some(resolved)
}

fn resolve(base: &Path, path: &Path) -> PathBuf {
    let mut resolved = base.to_owned();
    let mut todo: Vec<PathBuf> = split(path);
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part.as_os_str() == ".." {
            resolved.pop();
            continue;
        }
        resolved.push(&part);
        if links >= MAX_LINKS {
            continue;
        }
        if let Some(target) = link_target(&resolved) {
            links += 1;
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            } else {
                resolved.pop();
            }
            todo.extend(split(&target));
        }
    }
    resolved
}

/// The parts of a path, last first; roots and `.` are dropped.
fn split(path: &Path) -> Vec<PathBuf> {
    let keep = |part: Component<'_>| match part {
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(keep).collect()
}

fn link_target(path: &Path) -> Option<PathBuf> {
    match std::fs::read_link(path) {
        Ok(target) => Some(target),
        Err(error) => {
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) {
                tracing::trace!(%error, "a path was not looked through");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_stay_inside_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().canonicalize().unwrap().join("pod");
        std::fs::create_dir_all(base.join("sub")).unwrap();
        symlink("/etc", base.join("out")).unwrap();
        symlink("sub", base.join("in")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        for (path, inside) in [
            ("", Some("")),
            ("a/b", Some("a/b")),
            ("/abs/olute", Some("abs/olute")),
            ("sub/../x", Some("x")),
            ("in/x", Some("sub/x")),
            ("..", None),
            ("../pod-2", None),
            ("sub/../../etc", None),
            ("out/passwd", None),
            ("loop/x", Some("loop/x")),
            ("nul\0", None),
        ] {
            let expected = inside.map(|inside| base.join(inside));
            assert_eq!(confine(&base, path), expected, "{path}");
        }
    }
}
