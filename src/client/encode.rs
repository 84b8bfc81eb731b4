//! Percent-encoding of names and paths, by hand: URL libraries rewrite `.` and `%2E`.
//!
//! Unreserved characters stay, every other byte becomes `%XX` in upper case. A path for the
//! legacy runtime is one segment, its slashes included. Source: Python SDK 1.0.8 and the Go SDK.

use std::fmt::Write;

/// One path segment or query value.
pub(super) fn component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    push_component(&mut encoded, text);
    encoded
}

/// A file path as one segment of a request target. `.` and `..` are escaped, since routers and
/// servers would otherwise clean them away; an empty path stands for the root, `.`.
pub(super) fn file_path(path: &str) -> String {
    match path {
        "" | "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => component(path),
    }
}

/// A path for reading and writing: relative to the runtime's directory, without `.`, `..` and
/// doubled slashes. Source: Python SDK 1.0.8.
///
/// # Errors
/// What is wrong with it: blank, control characters, no file name, or it leaves the directory.
pub(super) fn relative_path(path: &str) -> Result<String, &'static str> {
    if path.chars().any(|c| c < ' ' || c == '\u{7f}') {
        return Err("it has control characters");
    }
    if path.trim().is_empty() {
        return Err("it is blank");
    }
    let absolute = path.starts_with('/');
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.pop().is_some() || absolute => {}
            ".." => return Err("it leaves the runtime's directory"),
            name => segments.push(name),
        }
    }
    if segments.is_empty() {
        return Err("it names no file");
    }
    Ok(segments.join("/"))
}

/// A file name inside the quotes of a multipart header. Source: the HTML standard, which browsers
/// and Python's HTTP libraries follow.
pub(super) fn multipart_name(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => escaped.push_str("%22"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A command line that the legacy runtime splits into just these words: each in single quotes
/// unless it has only harmless characters. Source: `shlex.quote` of Python, whose `shlex.split` the
/// runtime uses.
pub(super) fn command_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(&byte);
        if !word.is_empty() && word.bytes().all(harmless) {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace('\'', "'\"'\"'"));
            line.push('\'');
        }
    }
    line
}

fn push_component(encoded: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_segment_with_upper_case_escapes() {
        for (path, encoded) in [
            ("a.txt", "a.txt"),
            ("a/b c.txt", "a%2Fb%20c.txt"),
            ("/tmp/ü", "%2Ftmp%2F%C3%BC"),
            ("50%", "50%25"),
            ("~x-_.y", "~x-_.y"),
            ("a?b#c", "a%3Fb%23c"),
            ("", "%2E"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("./a", ".%2Fa"),
        ] {
            assert_eq!(file_path(path), encoded, "{path:?}");
        }
    }

    #[test]
    fn paths_are_made_relative_and_cannot_leave_the_directory() {
        for (path, relative) in [
            ("a.txt", "a.txt"),
            ("/tmp//a/./b", "tmp/a/b"),
            ("a/../b", "b"),
            ("/../b", "b"),
            ("a.txt ", "a.txt "),
        ] {
            assert_eq!(relative_path(path).as_deref(), Ok(relative), "{path:?}");
        }
        for bad in [
            "",
            "  ",
            "/",
            ".",
            "..",
            "../a",
            "a/../../b",
            "a\nb",
            "a/..",
        ] {
            assert!(relative_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_come_back_from_the_line_that_quotes_them() {
        let words = ["echo", "a b", "", "it's", "$HOME", "x=1", "ü", "\\"];
        let line = command_line(words);
        assert_eq!(line, r#"echo 'a b' '' 'it'"'"'s' '$HOME' x=1 'ü' '\'"#);
    }

    #[test]
    fn quotes_and_line_ends_cannot_leave_a_multipart_header() {
        assert_eq!(multipart_name("a\"b\r\nX: ü"), "a%22b%0D%0AX: ü");
    }
}
