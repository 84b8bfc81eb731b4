//! The files that a scenario file uses (`use: other.yaml#scenario`), and those that they use.

use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

use crate::source::yaml::{self, Node, NodeKind};
use crate::source::{OtherText, Problems, SourceError, SourceFile};

/// The most files that are read for one: more are a mistake.
const MOST_FILES: usize = 32;

/// Reads a scenario file and every file that it uses.
///
/// # Errors
/// [`SourceError`]: the file itself cannot be read. What is wrong with one that it uses is a problem
/// at its `use`, which [`parse`](super::parse) reports.
pub fn open(path: impl AsRef<Path>) -> Result<SourceFile, SourceError> {
    let file = SourceFile::load(path)?;
    Ok(with_used(file, |path| {
        SourceFile::load(path).map_err(|error| match &error {
            SourceError::Read { source, .. } => source.to_string(),
            SourceError::Directory { .. } => "it is a directory".to_owned(),
            SourceError::TooLarge { .. } | SourceError::NotUtf8 { .. } => error.to_string(),
        })
    }))
}

/// The file with those that it uses, which `read` gives by their path.
pub fn with_used(file: SourceFile, read: impl Fn(&Path) -> OtherText) -> SourceFile {
    let mut others: Vec<(String, OtherText)> = Vec::new();
    let mut wanted: VecDeque<String> = used_by(&file).into();
    while let Some(key) = wanted.pop_front() {
        if others.iter().any(|(known, _)| *known == key) {
            continue;
        }
        let text = if others.len() < MOST_FILES {
            read(Path::new(&key))
        } else {
            Err(format!("a scenario uses at most {MOST_FILES} other files"))
        };
        if let Ok(other) = &text {
            wanted.extend(used_by(other));
        }
        others.push((key, text));
    }
    file.with_others(others)
}

/// The path of a used file, from where the first file is: that of the file which uses it decides.
pub(super) fn key_of(user: &SourceFile, written: &str) -> String {
    let directory = Path::new(user.path()).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in directory.join(written).components() {
        let can_leave = matches!(path.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if can_leave => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

/// The keys of the files that a file uses.
fn used_by(file: &SourceFile) -> Vec<String> {
    // What is wrong with it is reported when it is parsed.
    let Some(root) = yaml::parse(file, &mut Problems::new()) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    let mut open = vec![&root];
    while let Some(node) = open.pop() {
        match &node.kind {
            NodeKind::Scalar(_) | NodeKind::Invalid => {}
            NodeKind::Sequence(items) => open.extend(items.iter().rev()),
            NodeKind::Mapping(entries) => {
                let uses = entries.iter().find(|(key, _)| &*key.value == "use");
                let path = uses.and_then(|(_, node)| path_of(node));
                keys.extend(path.map(|path| key_of(file, path)));
                open.extend(entries.iter().rev().map(|(_, node)| node));
            }
        }
    }
    keys
}

/// The path in `path#scenario`; `None` for a scenario of the same file.
fn path_of(node: &Node) -> Option<&str> {
    let (path, _) = split(&node.as_scalar()?.text)?;
    (!path.is_empty()).then_some(path)
}

/// `path#scenario`: the path, which may be empty, and the id as it is written.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (path, id) = text.split_once('#')?;
    let named = !id.trim().is_empty() && !text.contains("${{");
    named.then_some((path.trim(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> OtherText {
        let text = match path.to_str() {
            Some("d/b.yaml") => "a: [{ use: ../c.yaml#x }, { use: sub/../b.yaml#y }]",
            Some("c.yaml") => "use: d/b.yaml#z",
            _ => return Err("no such file".to_owned()),
        };
        Ok(SourceFile::from_text(path.to_string_lossy(), text))
    }

    #[test]
    fn every_file_is_read_once_from_where_its_user_is() {
        let file = SourceFile::from_text(
            "a.yaml",
            "steps: [{ use: d/b.yaml#x }, { use: '#own' }, { use: none.yaml#x }, { use: 5 }]",
        );
        let file = with_used(file, read);
        let found = |key: &str| file.other(key).map(|other| other.file().is_ok());
        assert_eq!(found("d/b.yaml"), Some(true));
        assert_eq!(found("c.yaml"), Some(true));
        assert_eq!(found("none.yaml"), Some(false));
        assert_eq!(file.other_files().count(), 2);
    }

    #[test]
    fn blanks_around_a_path_are_not_part_of_it() {
        let file = SourceFile::from_text("a.yaml", "use: 'd/b.yaml #x'");
        let file = with_used(file, read);
        assert!(
            file.other("d/b.yaml")
                .is_some_and(|other| other.file().is_ok())
        );
    }

    #[test]
    fn a_file_that_uses_ever_more_files_ends() {
        let file = SourceFile::from_text("0.yaml", "use: 1.yaml#x");
        let file = with_used(file, |path| {
            let name = path.to_string_lossy().into_owned();
            let number: u64 = name.trim_end_matches(".yaml").parse().unwrap();
            Ok(SourceFile::from_text(
                name,
                format!("use: {}.yaml#x", number + 1),
            ))
        });
        assert_eq!(file.other_files().count(), MOST_FILES);
        assert!(file.other("33.yaml").unwrap().file().is_err());
    }
}
