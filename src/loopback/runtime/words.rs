//! Commands as the legacy runtime reads and prints them: Python's `shlex.split`, `repr` and UTF-8 errors.
//!
//! Written from the documented behaviour of Python 3's `shlex` in POSIX mode (whitespace splits,
//! no comments), because Rust's lexers treat `#` as the start of a comment.

/// Why a command could not be split; prints as Python's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SplitError {
    #[error("No closing quotation")]
    OpenQuotation,
    #[error("No escaped character")]
    OpenEscape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Single,
    Double,
    /// After a backslash; what to go back to.
    Escape(Outer),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outer {
    Plain,
    Double,
}

/// Splits a command into its arguments.
pub(super) fn split(command: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut state = State::Plain;
    for c in command.chars() {
        state = match (state, c) {
            (State::Plain, ' ' | '\t' | '\r' | '\n') => {
                words.extend(word.take());
                State::Plain
            }
            (State::Plain, '\'') => {
                word.get_or_insert_default();
                State::Single
            }
            (State::Plain, '"') => {
                word.get_or_insert_default();
                State::Double
            }
            (State::Plain, '\\') => {
                word.get_or_insert_default();
                State::Escape(Outer::Plain)
            }
            (State::Double, '\\') => State::Escape(Outer::Double),
            (State::Single, '\'') | (State::Double, '"') => State::Plain,
            (State::Escape(outer), c) => {
                let word = word.get_or_insert_default();
                if outer == Outer::Double && !matches!(c, '"' | '\\') {
                    word.push('\\');
                }
                word.push(c);
                match outer {
                    Outer::Plain => State::Plain,
                    Outer::Double => State::Double,
                }
            }
            (state, c) => {
                word.get_or_insert_default().push(c);
                state
            }
        };
    }
    match state {
        State::Single | State::Double => Err(SplitError::OpenQuotation),
        State::Escape(_) => Err(SplitError::OpenEscape),
        State::Plain => {
            words.extend(word);
            Ok(words)
        }
    }
}

/// Python's `repr` of a string.
pub(super) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if u32::from(c) < 0x20 || (0x7f..0xa1).contains(&u32::from(c)) || c == '\u{ad}' => {
                out.push_str(&hex_escape(u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn hex_escape(code: u32) -> String {
    format!("\\x{code:02x}")
}

/// Python's `repr` of a list of strings.
pub(super) fn repr_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| repr(word)).collect();
    format!("[{}]", words.join(", "))
}

/// Strict UTF-8 with universal newlines, or Python's message for the first fault.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let first = bytes[start];
        let (length, reason) = match error.utf8_error().error_len() {
            None => (bytes.len() - start, "unexpected end of data"),
            Some(length) if (0xc2..=0xf4).contains(&first) => (length, "invalid continuation byte"),
            Some(length) => (length, "invalid start byte"),
        };
        if length == 1 {
            format!("'utf-8' codec can't decode byte 0x{first:02x} in position {start}: {reason}")
        } else {
            let end = start + length - 1;
            format!("'utf-8' codec can't decode bytes in position {start}-{end}: {reason}")
        }
    })?;
    Ok(if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_split_as_in_python() {
        for (command, words) in [
            ("echo hi | cat", vec!["echo", "hi", "|", "cat"]),
            ("echo #no comment", vec!["echo", "#no", "comment"]),
            ("a 'b c' \"d e\"f", vec!["a", "b c", "d ef"]),
            (
                r#"a "b\n\"\\" c\ d '\'"#,
                vec!["a", r#"b\n"\"#, "c d", r"\"],
            ),
            ("a '' \"\"", vec!["a", "", ""]),
            (" \t\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuotation));
        assert_eq!(split("a \"b\\"), Err(SplitError::OpenEscape));
        assert_eq!(split("a \\"), Err(SplitError::OpenEscape));
    }

    #[test]
    fn strings_print_as_in_python() {
        assert_eq!(repr("plain"), "'plain'");
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("it's \"x\""), "'it\\'s \"x\"'");
        assert_eq!(repr("a\nb\u{1}é"), "'a\\nb\\x01é'");
        assert_eq!(repr_list(&["sleep".into(), "9".into()]), "['sleep', '9']");
    }

    #[test]
    fn output_decodes_strictly_and_translates_newlines() {
        assert_eq!(decode(b"a\r\nb\rc\n".to_vec()).unwrap(), "a\nb\nc\n");
        for (bytes, message) in [
            (
                &b"ab\xff"[..],
                "byte 0xff in position 2: invalid start byte",
            ),
            (
                b"\xe2\x28\xa1",
                "byte 0xe2 in position 0: invalid continuation byte",
            ),
            (
                b"\xe2\x82\x28",
                "bytes in position 0-1: invalid continuation byte",
            ),
            (
                b"x\xe2\x82",
                "bytes in position 1-2: unexpected end of data",
            ),
            (b"\xc3", "byte 0xc3 in position 0: unexpected end of data"),
        ] {
            let expected = format!("'utf-8' codec can't decode {message}");
            assert_eq!(decode(bytes.to_vec()).unwrap_err(), expected);
        }
    }
}
