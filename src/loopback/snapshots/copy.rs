//! Copies a directory with all that is in it, and never what a link in it leads to.
//!
//! Commands of a pod may put a link in the place of a directory at any time. So every directory is
//! opened below the one before it, and nothing that is opened is a link.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use tokio_util::sync::CancellationToken;

/// The deepest directory that is copied: each one on the way to it is open meanwhile.
const DEEPEST: usize = 200;
/// How everything is opened: without waiting for anybody, and no link.
const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Whether somebody may change the original meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Original {
    /// What is removed before its turn is left out.
    InUse,
    /// It stays as it is.
    AtRest,
}

/// Copies a directory: files, directories and links, with permissions and times of change. Blocks.
///
/// # Errors
/// The system's error with the path in it; `Interrupted` once `stop` is cancelled. A part of the
/// copy may be there then.
pub(super) fn copy_directory(
    from: &Path,
    to: &Path,
    original: Original,
    stop: &CancellationToken,
) -> io::Result<()> {
    let opened = File::options().read(true).open(from);
    let from = opened.map_err(|error| at(from, &error))?.into();
    Copy { original, stop }.directory(from, to, 0)
}

struct Copy<'a> {
    original: Original,
    stop: &'a CancellationToken,
}

impl Copy<'_> {
    fn directory(&self, from: OwnedFd, to: &Path, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            let text = format!("{}: more than {DEEPEST} directories deep", to.display());
            return Err(io::Error::other(text));
        }
        fs::create_dir_all(to).map_err(|error| at(to, &error))?;
        for entry in Dir::read_from(&from)? {
            if self.stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let to = to.join(name);
            match self.entry(&from, name, &to, depth) {
                Err(error) if self.has_gone(&error) => {}
                done => done?,
            }
        }
        adorn(&File::from(from), to).map_err(|error| at(to, &error))
    }

    fn entry(&self, parent: &OwnedFd, name: &OsStr, to: &Path, depth: usize) -> io::Result<()> {
        let named = |error: io::Error| at(to, &error);
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let open = |flags| openat(parent, name, OPEN | flags, Mode::empty());
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new())?;
                symlink(OsStr::from_bytes(target.as_bytes()), to).map_err(named)
            }
            FileType::Directory => {
                let opened = open(OFlags::DIRECTORY).map_err(|error| named(error.into()))?;
                self.directory(opened, to, depth + 1)
            }
            FileType::RegularFile => {
                let opened = open(OFlags::empty()).map_err(|error| named(error.into()))?;
                file(File::from(opened), to).map_err(named)
            }
            // Sockets, pipes and devices have no content of their own.
            _ => Ok(()),
        }
    }

    fn has_gone(&self, error: &io::Error) -> bool {
        self.original == Original::InUse && error.kind() == io::ErrorKind::NotFound
    }
}

fn file(mut from: File, to: &Path) -> io::Result<()> {
    if !from.metadata()?.is_file() {
        return Ok(());
    }
    io::copy(&mut from, &mut File::create_new(to)?)?;
    adorn(&from, to)
}

/// Gives a copy the permissions and the time of change of its original.
fn adorn(from: &File, to: &Path) -> io::Result<()> {
    let known = from.metadata()?;
    File::open(to)?.set_modified(known.modified()?)?;
    fs::set_permissions(to, known.permissions())
}

/// An error that names where it happened.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn copied(from: &Path, to: &Path) -> io::Result<()> {
        copy_directory(from, to, Original::InUse, &CancellationToken::new())
    }

    #[test]
    fn a_copy_has_the_files_their_modes_and_times_and_the_links_themselves() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let secret = place.path().join("outside");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("secret"), "s").unwrap();
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/run"), "#!/bin/sh\n").unwrap();
        let mode = fs::Permissions::from_mode(0o751);
        fs::set_permissions(from.join("a/b/run"), mode).unwrap();
        fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        symlink(&secret, from.join("to-directory")).unwrap();
        symlink(secret.join("secret"), from.join("to-file")).unwrap();
        symlink("nowhere", from.join("dangling")).unwrap();
        copied(&from, &to).unwrap();
        let mode = |path: &str| fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/b/run"), mode("a")), (0o751, 0o500));
        assert_eq!(fs::read(to.join("a/b/run")).unwrap(), b"#!/bin/sh\n");
        let changed = |root: &Path| fs::metadata(root.join("a/b/run")).unwrap().modified();
        assert_eq!(changed(&to).unwrap(), changed(&from).unwrap());
        for (name, target) in [
            ("to-directory", secret.clone()),
            ("to-file", secret.join("secret")),
            ("dangling", "nowhere".into()),
        ] {
            assert_eq!(fs::read_link(to.join(name)).unwrap(), target, "{name}");
        }
        for root in [&from, &to] {
            fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[test]
    fn sockets_are_left_out_and_depth_and_a_stop_end_a_copy() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir(&from).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        copied(&from, &to).unwrap();
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
        let stop = CancellationToken::new();
        stop.cancel();
        let stopped = copy_directory(&from, &place.path().join("n"), Original::InUse, &stop);
        assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
        fs::create_dir_all(from.join("d/".repeat(DEEPEST + 1))).unwrap();
        let error = copied(&from, &place.path().join("deep")).unwrap_err();
        assert!(error.to_string().ends_with("directories deep"), "{error}");
    }
}
