//! Compiles regular expressions, with the place of what is wrong in them.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// The largest compiled regular expression, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// Why a regular expression does not compile.
pub(super) struct PatternError {
    /// What is wrong, as a fragment.
    pub(super) message: String,
    /// Which bytes of it, where that is known.
    pub(super) at: Option<Range<usize>>,
}

/// Compiles a regular expression of at most 1 MiB and 50 levels.
pub(super) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE)
        .nest_limit(50)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let message = text
                .lines()
                .find_map(|line| line.strip_prefix("error: "))
                .unwrap_or(text.lines().last().unwrap_or_default());
            PatternError {
                message: message.to_owned(),
                at: caret(pattern, &text),
            }
        })
}

/// The place that the regex library marks with `^` under a pattern of one line.
fn caret(pattern: &str, text: &str) -> Option<Range<usize>> {
    let marks = text
        .lines()
        .find(|line| line.contains('^') && line.trim_matches([' ', '^']).is_empty())?;
    let column = marks.find('^')?.checked_sub(4)?;
    let (start, _) = pattern.char_indices().nth(column)?;
    let count = marks.matches('^').count();
    let size: usize = pattern[start..]
        .chars()
        .take(count)
        .map(char::len_utf8)
        .sum();
    (!pattern.contains('\n')).then_some(start..start + size)
}
