//! What the client itself has moved: a sandbox that it suspended or resumed has another Pod, or none,
//! and its old address may be another sandbox's by now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How often each sandbox was moved, for as long as a handle to it lives.
#[derive(Debug, Default)]
pub(super) struct Moves(Mutex<HashMap<String, Weak<AtomicU64>>>);

impl Moves {
    /// The count of a sandbox, which all its handles share.
    pub(super) fn of(&self, sandbox: &str) -> Arc<AtomicU64> {
        let mut counts = self.counts();
        if let Some(known) = counts.get(sandbox).and_then(Weak::upgrade) {
            return known;
        }
        if counts.len() == counts.capacity() {
            counts.retain(|_, count| count.strong_count() > 0);
        }
        let count = Arc::default();
        counts.insert(sandbox.to_owned(), Arc::downgrade(&count));
        count
    }

    /// Tells the handles of a sandbox that it is, or may be, elsewhere.
    pub(super) fn add(&self, sandbox: &str) {
        if let Some(count) = self.counts().get(sandbox).and_then(Weak::upgrade) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, Weak<AtomicU64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_one_sandbox_share_a_count_and_old_ones_are_forgotten() {
        let moves = Moves::default();
        let (first, second, other) = (moves.of("a"), moves.of("a"), moves.of("b"));
        moves.add("a");
        moves.add("nobody's");
        assert_eq!(first.load(Ordering::Relaxed), 1);
        assert_eq!(second.load(Ordering::Relaxed), 1);
        assert_eq!(other.load(Ordering::Relaxed), 0);
        for number in 0..1000 {
            drop(moves.of(&number.to_string()));
        }
        assert!(moves.counts().len() < 10, "{}", moves.counts().len());
    }
}
