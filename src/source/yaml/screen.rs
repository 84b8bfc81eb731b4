//! What is looked for in the text before and after it is parsed as YAML: characters that YAML
//! does not allow, and the mistakes that a failed parse most often has behind it.

use granit_parser::ScanError;

use crate::source::diagnostic::{Code, Diagnostic, Problems};
use crate::source::file::SourceFile;
use crate::source::span::Span;

/// How many forbidden characters are reported one by one.
const SHOWN: usize = 5;

/// Reports control characters, which YAML forbids, NUL first of all.
pub(super) fn forbidden_characters(file: &SourceFile, problems: &mut Problems) {
    let forbidden = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    for (at, found) in file.text().match_indices(forbidden).take(SHOWN) {
        let character = found.chars().next().unwrap_or_default();
        let message = if character == '\0' {
            "the file contains a NUL byte".to_owned()
        } else {
            format!(
                "the file contains the control character U+{:04X}",
                u32::from(character)
            )
        };
        problems.push(
            Diagnostic::error(Code::Syntax, Span::new(at, at + found.len()), message)
                .label("not allowed in YAML")
                .help("write it as an escape in double quotes, for example \"\\x00\""),
        );
    }
}

/// Turns the parser's error into a diagnostic, with the help that the line deserves.
pub(super) fn syntax_error(file: &SourceFile, error: &ScanError) -> Diagnostic {
    let offset = offset_of(file, error);
    let line_number = file.location(offset).line;
    let line = file.line(line_number);
    let info = error.info();
    let span = character_at(file, offset);
    let range = file.line_range(line_number);
    let indent_end = line.len() - line.trim_start().len();
    if let Some(tab) = line[..indent_end].find('\t') {
        let at = range.start + tab;
        return Diagnostic::error(
            Code::Syntax,
            Span::new(at, at + 1),
            "a tab is used as indentation",
        )
        .label("YAML allows only spaces here")
        .help("indent with two spaces");
    }
    let diagnostic = Diagnostic::error(Code::Syntax, span, format!("not valid YAML: {info}"));
    if let Some(at) = unquoted_template(line) {
        return diagnostic.help(format!(
            "inside `{{ … }}` and `[ … ]`, put text with `${{{{ … }}}}` in quotes (column {})",
            line[..at].chars().count() + 1
        ));
    }
    if line.matches(": ").count() > 1 {
        return diagnostic.help("text that contains `: ` is put in quotes");
    }
    diagnostic
}

/// Where an unquoted `${{` follows `{`, `[` or `,` in a line.
fn unquoted_template(line: &str) -> Option<usize> {
    let at = line.find("${{")?;
    let before = &line[..at];
    let in_flow = before.contains(['{', '[']);
    let quoted = before.matches(['"', '\'']).count() % 2 == 1;
    (in_flow && !quoted).then_some(at)
}

fn offset_of(file: &SourceFile, error: &ScanError) -> usize {
    let marker = error.marker();
    let size = file.text().len();
    let offset = marker.byte_offset().unwrap_or_else(|| {
        file.text()
            .char_indices()
            .nth(marker.index())
            .map_or(size, |(at, _)| at)
    });
    // An error at the end of the text is shown at the end of the last line that has something.
    if offset >= size {
        file.text().trim_end().len()
    } else {
        offset
    }
}

fn character_at(file: &SourceFile, offset: usize) -> Span {
    let size = file
        .text()
        .get(offset..)
        .and_then(|rest| rest.chars().next())
        .filter(|c| !c.is_control())
        .map_or(0, char::len_utf8);
    Span::new(offset, offset + size)
}
