//! Leaving secrets out of what a result keeps of the scenario file and its variables.
//!
//! A result is passed on: to colleagues, to a CI system, into a page. What stands behind a name that is
//! one of a secret, and what follows `Bearer` or `Basic`, is replaced; a reference (`${{ env.TOKEN }}`) stays, since
//! it says nothing.

use std::sync::LazyLock;

use regex::Regex;

/// What stands in the place of a secret.
const LEFT_OUT: &str = "(left out)";

/// A key that sounds like a secret, and its value up to the end of the line or of the flow mapping.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(["']?[\w.-]*(?:passw(?:or)?d|secret|token|authorization|api[_-]?key|private[_-]?key|credential)[\w.-]*["']?\s*:\s+)("[^"]*"|'[^']*'|[^\s,}#][^,}\n]*)"#,
    )
    .expect("a valid expression")
});

static SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}").expect("a valid expression")
});

/// The text of a scenario file without secrets.
pub(super) fn file(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Of a block (`key: |`) that is left out: how far its key is indented.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if let Some(key) = block {
            if line.trim().is_empty() || indent > key {
                continue;
            }
            block = None;
        }
        let found = KEY.captures(line);
        let value = found.as_ref().and_then(|found| found.get(2));
        if value.is_some_and(|value| value.as_str().starts_with(['|', '>'])) {
            block = Some(indent);
        }
        out.push_str(&one_line(line));
    }
    out
}

fn one_line(line: &str) -> String {
    let line = KEY.replace_all(line, |found: &regex::Captures<'_>| {
        let (key, value) = (&found[1], &found[2]);
        // A reference says nothing, and what is nested is looked at by itself.
        if value.trim_start_matches(['"', '\'']).starts_with("${{") || value.starts_with(['{', '['])
        {
            format!("{key}{value}")
        } else {
            format!("{key}{LEFT_OUT}")
        }
    });
    SCHEME
        .replace_all(&line, |found: &regex::Captures<'_>| {
            format!("{} {LEFT_OUT}", &found[1])
        })
        .into_owned()
}

/// The value of a variable, unless its name is one of a secret.
pub(super) fn variable(name: &str, value: &str) -> String {
    if KEY.is_match(&format!("{name}: x")) {
        LEFT_OUT.to_owned()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let text = "\
vars:
  api_key: abc123          # mine
  routerToken: \"s3cr3t\"
  greeting: hello
target: { apiUrl: http://x, token: abc, mode: direct }
  key_secret: |
    line one
    line two
  after: stays
steps:
  - http: { headers: { Authorization: Bearer eyJhbGciOi.J9 } }
  - exec: curl -H 'Authorization: Basic dXNlcjpwYXNz' x
  - exec: echo ${{ vars.api_key }}
    token: ${{ env.TOKEN }}
";
        let shown = file(text);
        for secret in [
            "abc123", "s3cr3t", "abc,", "line one", "line two", "eyJhbG", "dXNlcjpw",
        ] {
            assert!(!shown.contains(secret), "{secret} in\n{shown}");
        }
        for kept in [
            "greeting: hello",
            "mode: direct",
            "after: stays",
            "${{ env.TOKEN }}",
            "${{ vars.api_key }}",
            "apiUrl: http://x",
        ] {
            assert!(shown.contains(kept), "{kept} not in\n{shown}");
        }
        assert_eq!(variable("dbPassword", "x"), LEFT_OUT);
        assert_eq!(variable("payload", "x"), "x");
    }
}
