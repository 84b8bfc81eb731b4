//! What GitHub Actions shows beside the lines of a file: the first failures as workflow commands.
//!
//! Not a report of its own but lines for the log of a step. GitHub shows ten of a kind per step;
//! the escapes are those of its toolkit (`@actions/core`, `command.ts`).

use crate::metrics::Summary;

/// As many as GitHub shows per step.
pub const ANNOTATIONS: usize = 10;

/// The first failures as `::error file=…,line=…` lines, most frequent first. `path` makes a path that
/// is relative to the repository of one as it was given.
pub fn annotations(summary: &Summary, path: impl Fn(&str) -> String) -> Vec<String> {
    let failures = summary.failures.iter().take(ANNOTATIONS);
    failures
        .map(|failure| {
            let times = if failure.count > 1 {
                format!(" ({} times)", failure.count)
            } else {
                String::new()
            };
            format!(
                "::error file={},line={},col={},title={}::{}",
                property(&path(&failure.place.file)),
                failure.place.line,
                failure.place.column,
                property(&format!("{} {}", failure.cell, failure.step)),
                data(&format!("{}{times}", failure.message)),
            )
        })
        .collect()
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixed;
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_its_text() {
        let mut summary = fixed();
        let mut failure = summary.failures[0].clone();
        failure.cell = "a[x=1,y=2]: b".to_owned();
        failure.message = "100%\r\n::error::nested".to_owned();
        summary.failures = vec![failure; 30];
        let lines = annotations(&summary, |file| format!("sub/{file}"));
        assert_eq!(lines.len(), ANNOTATIONS);
        assert_eq!(
            lines[0],
            "::error file=sub/lifecycle.yaml,line=37,col=28,title=a[x=1%2Cy=2]%3A b read::100%25%0D%0A::error::nested (3 times)"
        );
    }
}
