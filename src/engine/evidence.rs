//! What `collect` steps collected in a run: the first texts, each with its end.
//!
//! Under load thousands of iterations may collect; what is kept is bounded and the rest is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::metrics::{Collected, Collection};
use crate::step;

/// How many texts are kept.
const TEXTS: usize = 50;
/// How much of a text is kept, from its end.
const BYTES: usize = 16 << 10;

/// The texts of a run.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    texts: Mutex<Vec<Collected>>,
    dropped: AtomicU64,
}

impl Evidence {
    /// Keeps a text of a cell, or counts it.
    pub(super) fn add(&self, cell: &str, collected: &step::Collected) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= TEXTS {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let text = end_of(&collected.text);
        texts.push(Collected {
            cell: cell.to_owned(),
            what: collected.what.to_owned(),
            claim: collected.claim.clone(),
            left_out_bytes: (collected.text.len() - text.len()) as u64,
            text: text.to_owned(),
            file: collected
                .file
                .as_ref()
                .map(|file| file.to_string_lossy().into_owned()),
        });
    }

    /// All of it, in the order in which it came.
    pub(super) fn finish(&self) -> Collection {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        Collection {
            texts: std::mem::take(&mut texts),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// The last bytes of a text, from the beginning of a character.
fn end_of(text: &str) -> &str {
    let mut start = text.len().saturating_sub(BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_texts_are_kept_with_their_ends_and_the_others_counted() {
        let evidence = Evidence::default();
        let mut one = step::Collected {
            what: "events",
            claim: "n/c".to_owned(),
            text: format!("é{}", "x".repeat(BYTES - 1)),
            file: None,
        };
        evidence.add("a", &one);
        one.text = "short".to_owned();
        for _ in 0..TEXTS {
            evidence.add("a", &one);
        }
        let Collection { texts, dropped } = evidence.finish();
        assert_eq!(dropped, 1);
        assert_eq!(texts.len(), TEXTS);
        assert_eq!(
            (texts[0].text.len(), texts[0].left_out_bytes),
            (BYTES - 1, 2)
        );
        assert_eq!(
            (texts[1].text.as_str(), texts[1].left_out_bytes),
            ("short", 0)
        );
    }
}
