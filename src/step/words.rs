//! Splits a command into words as a POSIX shell does, without anything else that a shell does: no
//! variables, no patterns, no pipes. Quotes and backslashes keep blanks.

/// Why a command cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordsError {
    #[error("a quotation mark is not closed")]
    OpenQuote,
    #[error("it ends with a backslash")]
    OpenEscape,
}

/// The words of a command.
pub(super) fn words(command: &str) -> Result<Vec<String>, WordsError> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_ascii_whitespace() => all.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                let next = rest.next().ok_or(WordsError::OpenEscape)?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(WordsError::OpenQuote);
    }
    all.extend(word);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (command, expected) in [
            ("a  b\tc", &["a", "b", "c"][..]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            (
                r#"a\ b "c\"d" 'e\f' "g\h""#,
                &["a b", "c\"d", r"e\f", r"g\h"],
            ),
            ("x''y \"\"", &["xy", ""]),
            ("$HOME * | ;", &["$HOME", "*", "|", ";"]),
            ("  ", &[]),
        ] {
            assert_eq!(words(command).unwrap(), expected, "{command}");
        }
        assert_eq!(words("a 'b"), Err(WordsError::OpenQuote));
        assert_eq!(words("a \\"), Err(WordsError::OpenEscape));
    }
}
