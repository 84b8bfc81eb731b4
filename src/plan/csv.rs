//! Comma-separated values as RFC 4180 has them: quotes around values with commas, quotes or line
//! breaks, two quotes for one. Every value knows its place.

use crate::source::Span;

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) span: Span,
}

/// Why the text is not CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CsvProblem {
    pub(super) message: &'static str,
    pub(super) span: Span,
}

/// The records of a text; lines with nothing in them are left out.
pub(super) fn records(text: &str) -> Result<Vec<Vec<Cell>>, CsvProblem> {
    let mut all = Vec::new();
    let mut record = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    while at < text.len() {
        let (cell, end) = cell(text, at)?;
        record.push(cell);
        let rest = &text[end..];
        if rest.starts_with(',') {
            at = end + 1;
            if at < text.len() {
                continue;
            }
            let span = Span::new(at, at);
            let text = String::new();
            record.push(Cell { text, span });
        } else if rest.starts_with("\r\n") {
            at = end + 2;
        } else {
            at = end + usize::from(!rest.is_empty());
        }
        let record = std::mem::take(&mut record);
        let empty = matches!(record.as_slice(), [only] if only.span.start == only.span.end);
        if !empty {
            all.push(record);
        }
    }
    Ok(all)
}

/// The value that begins at a place, and where it ends.
fn cell(text: &str, start: usize) -> Result<(Cell, usize), CsvProblem> {
    let rest = &text[start..];
    let Some(quoted) = rest.strip_prefix('"') else {
        let length = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
        let value = &rest[..length];
        let span = Span::new(start, start + length);
        if let Some(quote) = value.find('"') {
            return Err(CsvProblem {
                message: "a quote in a value that does not begin with one",
                span: Span::new(start + quote, start + quote + 1),
            });
        }
        let text = value.to_owned();
        return Ok((Cell { text, span }, start + length));
    };
    let mut value = String::new();
    let mut at = 0;
    while let Some(found) = quoted[at..].find('"') {
        value.push_str(&quoted[at..at + found]);
        at += found + 1;
        if quoted[at..].starts_with('"') {
            value.push('"');
            at += 1;
            continue;
        }
        let end = start + 1 + at;
        if text[end..].starts_with(|c| !matches!(c, ',' | '\n' | '\r')) {
            return Err(CsvProblem {
                message: "after the closing quote there is neither a comma nor the end of the line",
                span: Span::new(end, end),
            });
        }
        let span = Span::new(start, end);
        return Ok((Cell { text: value, span }, end));
    }
    Err(CsvProblem {
        message: "the quote is not closed",
        span: Span::new(start, start + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let records = records(text).unwrap().into_iter();
        records
            .map(|record| record.into_iter().map(|cell| cell.text).collect())
            .collect()
    }

    #[test]
    fn quotes_line_ends_and_empty_lines_are_read_as_the_standard_says() {
        assert_eq!(texts("a,b\r\n1,2\r\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(texts("\u{feff}a,\n\n,b"), [["a", ""], ["", "b"]]);
        assert_eq!(
            texts("\"x, \"\"y\"\"\nz\",2\n\"\",3"),
            [["x, \"y\"\nz", "2"], ["", "3"]]
        );
        assert_eq!(texts("a,"), [["a", ""]]);
        assert!(texts("").is_empty());
    }

    #[test]
    fn what_is_not_csv_has_a_place() {
        let at = |text: &str| records(text).unwrap_err().span.start;
        assert_eq!(at("a,b\n1,x\"y"), 7);
        assert_eq!(at("a\n\"open"), 2);
        assert_eq!(at("\"a\"b"), 3);
    }
}
