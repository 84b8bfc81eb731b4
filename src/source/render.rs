//! Draws a diagnosis or a failed step with the line it is about.
//!
//! ```text
//! error[E104]: unknown field `arrivalRate` in load
//!   --> cliff.yaml:33:7
//!    |
//! 33 |       arrivalRate: 50/s
//!    |       ^^^^^^^^^^^ did you mean `rate`?
//!    = help: an open model uses `rate`
//! ```
//!
//! The shape is Hurl's and rustc's. A long line is cut to a window around the caret; tabs are drawn
//! as one space, so that carets stay under what they mean.

use std::fmt::Write as _;

use super::diagnostic::Diagnostic;
use super::file::SourceFile;
use super::span::Span;

/// Whether escape sequences for colour are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI colours.
    On,
}

impl Colour {
    /// `text` in the style `code`, if there is colour.
    pub fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The widest part of a source line that is shown, in characters.
const WINDOW: usize = 100;

/// The diagnosis of something wrong in a file.
pub fn render(file: &SourceFile, diagnostic: &Diagnostic, colour: Colour) -> String {
    let head = format!(
        "{} {}",
        colour.paint("1;31", "error[E104]:"),
        diagnostic.message
    );
    let mut text = snippet(file, diagnostic.span, &head, &diagnostic.label, colour);
    let gutter = gutter(file, diagnostic.span);
    for help in &diagnostic.help {
        writeln!(text, "{:gutter$} = help: {help}", "").expect("writing to a string cannot fail");
    }
    text
}

/// A failed step: `head`, the place in the file with `label` beside it, and `facts` below.
pub fn render_failure(
    file: &SourceFile,
    span: Span,
    (head, label): (&str, &str),
    facts: &[(&str, String)],
    colour: Colour,
) -> String {
    let head = format!("{} {head}", colour.paint("1;31", "FAIL"));
    let mut text = snippet(file, span, &head, label, colour);
    let gutter = gutter(file, span);
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        writeln!(text, "{:gutter$} = {name:width$}  {value}", "")
            .expect("writing to a string cannot fail");
    }
    text
}

fn gutter(file: &SourceFile, span: Span) -> usize {
    file.location(span.start).line.to_string().len()
}

fn snippet(file: &SourceFile, span: Span, head: &str, label: &str, colour: Colour) -> String {
    let at = file.location(span.start);
    let gutter = gutter(file, span);
    let shown: Vec<char> = file
        .line(at.line)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let marked = file
        .slice(span)
        .lines()
        .next()
        .unwrap_or("")
        .trim_end()
        .chars()
        .count();
    let column = (at.column - 1).min(shown.len());
    let from = if shown.len() > WINDOW {
        column.saturating_sub(WINDOW / 3)
    } else {
        0
    };
    let to = (from + WINDOW).min(shown.len());
    let mut line: String = shown.get(from..to).unwrap_or(&[]).iter().collect();
    if from > 0 {
        line.insert(0, '…');
    }
    if to < shown.len() {
        line.push('…');
    }
    let indent = column - from + usize::from(from > 0);
    let carets = "^".repeat(marked.clamp(1, (to.saturating_sub(column)).max(1)));
    let mark = colour.paint("1;31", format!("{carets} {label}").trim_end());
    let bar = colour.paint("34", "|");
    let number = colour.paint("34", &at.line.to_string());
    format!(
        "{head}\n{:gutter$}--> {}:{}:{}\n{:gutter$} {bar}\n{number} {bar} {}\n{:gutter$} {bar} {:indent$}{mark}\n",
        "",
        file.path().display(),
        at.line,
        at.column,
        "",
        line.trim_end(),
        "",
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_has_place_snippet_caret_and_help() {
        let file = SourceFile::from_text("cliff.yaml", "load:\n  arrivalRate: 50/s\n");
        let diagnostic = Diagnostic::new(Span::new(8, 19), "unknown field `arrivalRate` in load")
            .label("did you mean `rate`?")
            .help("an open model uses `rate`");
        assert_eq!(
            render(&file, &diagnostic, Colour::Off),
            "error[E104]: unknown field `arrivalRate` in load\n \
             --> cliff.yaml:2:3\n  \
             |\n\
             2 |   arrivalRate: 50/s\n  \
             |   ^^^^^^^^^^^ did you mean `rate`?\n  \
             = help: an open model uses `rate`\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let file = SourceFile::from_text("long.yaml", text);
        let drawn = render(
            &file,
            &Diagnostic::new(Span::new(500, 501), "here"),
            Colour::Off,
        );
        let lines: Vec<&str> = drawn.lines().collect();
        let caret = lines[4].find('^').unwrap();
        assert_eq!(lines[3].chars().nth(caret), Some('X'));
        assert!(lines.iter().all(|line| line.chars().count() < 120));
    }

    #[test]
    fn a_place_at_or_beyond_the_end_is_drawn_without_a_panic() {
        let file = SourceFile::from_text("empty.yaml", "");
        assert!(
            render(
                &file,
                &Diagnostic::new(Span::new(0, 0), "empty"),
                Colour::On
            )
            .contains('^')
        );
        render(
            &file,
            &Diagnostic::new(Span::new(9, 12), "beyond"),
            Colour::Off,
        );
    }
}
