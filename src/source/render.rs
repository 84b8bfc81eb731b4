//! Draws a diagnostic with its line of source and carets under the place.
//!
//! ```text
//! error[E104]: unknown field `arrivalRate` in load
//!   --> cliff.yaml:33:7
//!    |
//! 33 |       arrivalRate: 50/s
//!    |       ^^^^^^^^^^^ did you mean `rate`?
//!    = help: an open model uses `rate`, a closed model uses `vus`
//! ```
//!
//! Tabs become four spaces, control characters a visible sign (a file cannot send escape
//! sequences to the terminal), lines over 120 columns are cut around the caret.

use unicode_width::UnicodeWidthChar;

use super::diagnostic::{Diagnostic, Problems, Severity};
use super::file::SourceFile;
use super::span::Span;

/// Whether the text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Colour {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Ansi,
}

/// The widest piece of a source line that is shown, in columns.
const WIDEST: usize = 120;
/// Columns kept before the caret when a line is cut.
const BEFORE: usize = 40;
/// The longest message or label, in characters: they may quote the file.
const LONGEST_TEXT: usize = 400;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("{code}{text}{RESET}"),
        }
    }
}

fn severity_code(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    }
}

/// One diagnostic as text, ending with a line break.
pub fn render(file: &SourceFile, diagnostic: &Diagnostic, colour: Colour) -> String {
    let severity = diagnostic.severity;
    let head = format!("{}[{}]", severity.as_str(), diagnostic.code);
    let mut out = format!(
        "{}{}\n",
        colour.paint(severity_code(severity), &head),
        colour.paint(BOLD, &format!(": {}", clean(&diagnostic.message))),
    );
    out.push_str(&place(
        file,
        diagnostic.span,
        &diagnostic.label,
        (severity, colour),
    ));
    if let Some(excerpt) = &diagnostic.excerpt {
        out.push_str(excerpt);
    }
    for help in &diagnostic.help {
        out.push_str(&note_line(file, diagnostic.span, "help:", help, colour));
    }
    out
}

/// All problems as text, in order, with an empty line between two.
pub fn render_all(file: &SourceFile, problems: &Problems, colour: Colour) -> String {
    let mut parts: Vec<String> = problems
        .iter()
        .map(|diagnostic| render(file, diagnostic, colour))
        .collect();
    if problems.dropped() > 0 {
        parts.push(format!("… and {} more\n", problems.dropped()));
    }
    parts.join("\n")
}

/// The place alone: `-->`, the line of source and the carets with a label. For a check that
/// failed at run time. `notes` are drawn as `= key  text` lines below.
pub fn snippet(
    file: &SourceFile,
    span: Span,
    label: &str,
    notes: &[(&str, String)],
    colour: Colour,
) -> String {
    let mut out = place(file, span, label, (Severity::Error, colour));
    let width = notes.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, text) in notes {
        let key = format!("{key:width$} ");
        out.push_str(&note_line(file, span, &key, text, colour));
    }
    out
}

fn gutter(file: &SourceFile, span: Span) -> usize {
    file.location(span.start).line.to_string().len()
}

fn note_line(file: &SourceFile, span: Span, key: &str, text: &str, colour: Colour) -> String {
    let (file, span) = file.holding(span);
    let pad = " ".repeat(gutter(file, span) + 1);
    format!(
        "{pad}{} {}\n",
        colour.paint(BLUE, "="),
        format_args!("{} {}", colour.paint(BOLD, key), clean(text)),
    )
}

fn place(file: &SourceFile, span: Span, label: &str, look: (Severity, Colour)) -> String {
    let (severity, colour) = look;
    let (file, span) = file.holding(span);
    let location = file.location(span.start);
    let width = gutter(file, span);
    let pad = " ".repeat(width);
    let bar = colour.paint(BLUE, "|");
    let drawn = Drawn::new(file, span, location.line);
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(format!(
        "{pad}{} {}:{location}",
        colour.paint(BLUE, "-->"),
        clean(file.path())
    ));
    line(format!("{pad} {bar}"));
    line(format!(
        "{} {bar} {}",
        colour.paint(BLUE, &format!("{:>width$}", location.line)),
        drawn.text
    ));
    let carets = "^".repeat(drawn.carets);
    let marked = if label.is_empty() {
        carets
    } else {
        format!("{carets} {}", clean(label))
    };
    line(format!(
        "{pad} {bar} {}{}",
        " ".repeat(drawn.indent),
        colour.paint(severity_code(severity), &marked)
    ));
    out
}

/// A line of source ready to be shown, and where the carets go.
struct Drawn {
    text: String,
    indent: usize,
    carets: usize,
}

impl Drawn {
    fn new(file: &SourceFile, span: Span, line: usize) -> Self {
        let start = file.line_range(line).start;
        let whole = file.line(line);
        let first = span.start.saturating_sub(start).min(whole.len());
        let (near, before) = neighbourhood(whole, first);
        let cells = cells(near);
        let first = first - before;
        let last = span.end.saturating_sub(start + before);
        let before = columns(cells.iter().take_while(|cell| cell.at < first));
        let marked = columns(
            cells
                .iter()
                .filter(|cell| cell.at >= first && cell.at < last),
        );
        let total = columns(cells.iter());
        if total <= WIDEST {
            return Self {
                text: cells.into_iter().map(|cell| cell.shown).collect(),
                indent: before,
                carets: marked.max(1),
            };
        }
        Self::cut(&cells, before, marked)
    }

    /// The piece of a long line around the caret, with `…` where something was left out.
    fn cut(cells: &[Cell], before: usize, marked: usize) -> Self {
        let from = if before + marked.min(BEFORE) <= WIDEST - 2 {
            0
        } else {
            before.saturating_sub(BEFORE)
        };
        let mut text = String::new();
        let mut indent = before;
        let mut column = 0;
        let mut shown = 0;
        if from > 0 {
            text.push('…');
            shown = 1;
        }
        let mut skipped = 0;
        for cell in cells {
            if column < from {
                skipped += cell.width;
            } else if shown + cell.width >= WIDEST {
                text.push('…');
                break;
            } else {
                text.push_str(&cell.shown);
                shown += cell.width;
            }
            column += cell.width;
        }
        if from > 0 {
            indent = before.saturating_sub(skipped) + 1;
        }
        Self {
            text,
            indent,
            carets: marked.clamp(1, WIDEST.saturating_sub(indent).max(1)),
        }
    }
}

/// The part of a line that can be shown around a byte, and where it begins: a line of megabytes
/// is not looked at as a whole for each problem in it.
fn neighbourhood(line: &str, at: usize) -> (&str, usize) {
    const REACH: usize = 4 * WIDEST;
    let boundary = |mut at: usize| {
        at = at.min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let from = boundary(at.saturating_sub(REACH));
    (&line[from..boundary(at + REACH)], from)
}

/// One character of a source line.
struct Cell {
    at: usize,
    shown: String,
    width: usize,
}

fn columns<'c>(cells: impl Iterator<Item = &'c Cell>) -> usize {
    cells.map(|cell| cell.width).sum()
}

fn cells(line: &str) -> Vec<Cell> {
    line.char_indices()
        .map(|(at, c)| {
            let shown = match c {
                '\t' => "    ".to_owned(),
                c => visible(c).to_string(),
            };
            let width = shown.chars().map(|c| c.width().unwrap_or(0)).sum();
            Cell { at, shown, width }
        })
        .filter(|cell| cell.width > 0 || !cell.shown.starts_with('\u{feff}'))
        .collect()
}

/// The character itself, or a sign for one that would act on the terminal or the reader's eye.
fn visible(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

/// Text of ours that may quote the file: one line, no control characters, not endless.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST_TEXT));
    for (count, c) in text.chars().enumerate() {
        if count >= LONGEST_TEXT {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(visible(c)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Code;
    use super::*;

    fn drawn(text: &str, part: &str, label: &str) -> String {
        let file = SourceFile::from_text("f.yaml", text);
        let start = text.find(part).unwrap();
        let span = Span::new(start, start + part.len());
        let diagnostic = Diagnostic::error(Code::UnknownField, span, "wrong").label(label);
        render(&file, &diagnostic, Colour::Plain)
    }

    #[test]
    fn a_diagnostic_has_hurls_shape() {
        let text = format!("{}      arrivalRate: 50/s\n", "\n".repeat(32));
        let file = SourceFile::from_text("cliff.yaml", text.as_str());
        let start = text.find("arrival").unwrap();
        let diagnostic = Diagnostic::error(
            Code::UnknownField,
            Span::new(start, start + 11),
            "unknown field `arrivalRate` in load",
        )
        .label("did you mean `rate`?")
        .help("an open model uses `rate`");
        assert_eq!(
            render(&file, &diagnostic, Colour::Plain),
            "error[E104]: unknown field `arrivalRate` in load\n  \
               --> cliff.yaml:33:7\n   \
                |\n\
             33 |       arrivalRate: 50/s\n   \
                |       ^^^^^^^^^^^ did you mean `rate`?\n   \
                = help: an open model uses `rate`\n"
        );
        let colour = render(&file, &diagnostic, Colour::Ansi);
        assert!(
            colour.starts_with("\u{1b}[1;31merror[E104]\u{1b}[0m"),
            "{colour:?}"
        );
    }

    #[test]
    fn carets_stay_right_after_tabs_and_wide_characters() {
        assert!(drawn("\ta: b", "b", "x").contains("|     a: b\n  |        ^ x\n"));
        assert!(drawn("名前: b", "b", "x").contains("| 名前: b\n  |       ^ x\n"));
        assert!(drawn("a: 名前 c", "名前", "x").contains("|    ^^^^ x\n"));
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}NEEDLE{}", "a".repeat(500), "b".repeat(500));
        let out = drawn(&text, "NEEDLE", "here");
        let lines: Vec<&str> = out.lines().collect();
        let column = lines[4].find('^').unwrap();
        let shown: String = lines[3].chars().skip(column).take(6).collect();
        assert_eq!(shown, "NEEDLE", "{out}");
        assert!(lines.iter().all(|line| line.chars().count() < 140), "{out}");
        assert!(lines[3].contains('…') && lines[3].ends_with('…'));
    }

    #[test]
    fn escape_sequences_of_a_file_do_not_reach_the_terminal() {
        let out = drawn("a: \u{1b}[31m\u{202e}b", "b", "\u{1b}]0;title");
        assert!(
            !out.contains('\u{1b}') && !out.contains('\u{202e}'),
            "{out:?}"
        );
    }

    #[test]
    fn a_span_over_several_lines_marks_the_first_line_only() {
        assert!(drawn("ab\ncd", "b\ncd", "x").contains("1 | ab\n  |  ^ x\n"));
    }

    #[test]
    fn notes_of_a_failed_check_are_aligned() {
        let file = SourceFile::from_text("f.yaml", "a: b");
        let notes = [("sandbox", "s".to_owned()), ("rerun", "r".to_owned())];
        assert_eq!(
            snippet(&file, Span::new(3, 4), "actual 5", &notes, Colour::Plain),
            " --> f.yaml:1:4\n  |\n1 | a: b\n  |    ^ actual 5\n  = sandbox  s\n  = rerun    r\n"
        );
    }
}
