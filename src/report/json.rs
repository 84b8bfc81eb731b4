//! `json`: the serialized summary, with its format version and the histograms.

use crate::metrics::Summary;

pub(super) fn render(summary: &Summary) -> String {
    let mut text = serde_json::to_string_pretty(summary)
        .expect("a summary has only text keys and finite numbers");
    text.push('\n');
    text
}
