//! Paths of files and working directories: cleaned, resolved, and kept inside the root.
//!
//! As upstream: `..` is taken off lexically before links are followed, so that most traversals end
//! inside the root; what is left outside (through a link, or by more `..` than a relative path has
//! parts) is refused. `/workspace`, where upstream's root is, is accepted as the root's other name.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Where upstream's root is unless a flag says otherwise.
const USUAL_ROOT: &str = "/workspace";

/// Why a path is not served.
#[derive(Debug)]
pub(super) enum PathError {
    /// It is outside of the root.
    Escapes,
    /// It could not be resolved.
    Unresolved(io::Error),
}

/// The place that `path` names; it need not exist. Blocks on the file system.
///
/// `root` must itself be resolved.
///
/// # Errors
/// See [`PathError`].
pub(super) fn confine(root: &Path, path: &Path) -> Result<PathBuf, PathError> {
    let cleaned = clean(path);
    let inside = cleaned
        .strip_prefix(root)
        .or_else(|_| cleaned.strip_prefix(USUAL_ROOT))
        .unwrap_or_else(|_| cleaned.strip_prefix("/").unwrap_or(&cleaned));
    let joined = clean(&root.join(inside));
    let resolved = resolve(&joined)?;
    if resolved.starts_with(root) {
        Ok(resolved)
    } else {
        Err(PathError::Escapes)
    }
}

/// Without `.`, doubled slashes and, as far as it goes, `..`; nothing is looked up.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir | Component::Prefix(_) => {}
            Component::RootDir => cleaned.push("/"),
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir) => {}
                _ => cleaned.push(".."),
            },
        }
    }
    cleaned
}

/// Follows the links of the longest part that exists; the rest is kept as written.
fn resolve(path: &Path) -> Result<PathBuf, PathError> {
    for ancestor in path.ancestors() {
        match ancestor.canonicalize() {
            Ok(resolved) => {
                let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
                // Joining nothing would add a slash at the end.
                return Ok(if rest.as_os_str().is_empty() {
                    resolved
                } else {
                    resolved.join(rest)
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(PathError::Unresolved(error)),
        }
    }
    Err(PathError::Escapes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_cleaned_before_links_are_followed_and_stay_inside() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap().join("pod");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir_all(base.path().join("pod-evil")).unwrap();
        std::fs::write(root.join("file"), "x").unwrap();
        symlink("/etc", root.join("out")).unwrap();
        symlink("../pod-evil", root.join("evil")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        symlink("/nowhere", root.join("dangling")).unwrap();
        let absolute = root.join("a/b");
        for (path, inside) in [
            ("", Some("")),
            (".", Some("")),
            ("/", Some("")),
            ("a//b/./c", Some("a/b/c")),
            ("/../../x", Some("x")),
            ("sub/../../x", None),
            ("out/../x", Some("x")),
            ("in/x", Some("sub/x")),
            ("dangling", Some("dangling")),
            ("/workspace", Some("")),
            ("/workspace/a", Some("a")),
            ("workspace/a", Some("workspace/a")),
            ("/workspaces/a", Some("workspaces/a")),
            (absolute.to_str().unwrap(), Some("a/b")),
            ("..", None),
            ("../x", None),
            ("out/passwd", None),
            ("out/new/file", None),
            ("evil/x", None),
        ] {
            let found = confine(&root, Path::new(path));
            let wanted = inside.map(|inside| match inside {
                "" => root.clone(),
                inside => root.join(inside),
            });
            assert_eq!(found.as_ref().ok(), wanted.as_ref(), "{path}: {found:?}");
            if wanted.is_none() {
                assert!(matches!(found, Err(PathError::Escapes)), "{path}");
            }
        }
        for path in ["file/x", "nul\0"] {
            let found = confine(&root, Path::new(path));
            assert!(matches!(found, Err(PathError::Unresolved(_))), "{path}");
        }
    }
}
