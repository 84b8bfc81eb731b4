//! [`Agenda`]: when a controller looks at which object again.
//!
//! At most one entry for each object, the earliest: a look decides anew what comes next. So an
//! object that is looked at often, or is gone, leaves nothing behind.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::super::store::Key;

/// Looks that are due later.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Instant, Key)>,
    by_key: HashMap<Key, Instant>,
}

impl Agenda {
    /// Looks again after a time, unless an earlier look is planned.
    pub(super) fn after(&mut self, delay: Duration, key: &Key) {
        let Some(due) = Instant::now().checked_add(delay) else {
            return; // in a far future that no cluster lives to see
        };
        match self.by_key.get(key) {
            Some(planned) if *planned <= due => return,
            Some(planned) => {
                self.by_time.remove(&(*planned, key.clone()));
            }
            None => {}
        }
        self.by_time.insert((due, key.clone()));
        self.by_key.insert(key.clone(), due);
    }

    /// Plans no look at the object any more.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(due) = self.by_key.remove(key) {
            self.by_time.remove(&(due, key.clone()));
        }
    }

    /// Waits until looks are due and takes them; for ever if none is planned.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken before it is returned.
    pub(super) async fn due(&mut self) -> Vec<Key> {
        let Some((first, _)) = self.by_time.first() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(*first).await;
        let now = Instant::now();
        let mut keys = Vec::new();
        while self.by_time.first().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.by_key.remove(&key);
                keys.push(key);
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            kind: "SandboxClaim",
            namespace: "default".to_owned(),
            name: name.to_owned(),
        }
    }

    #[tokio::test]
    async fn the_earliest_look_counts_and_a_forgotten_one_does_not_come() {
        let mut agenda = Agenda::default();
        let hour = Duration::from_hours(1);
        agenda.after(hour, &key("a"));
        agenda.after(Duration::ZERO, &key("a"));
        agenda.after(hour, &key("a"));
        agenda.after(Duration::ZERO, &key("b"));
        agenda.forget(&key("b"));
        agenda.after(Duration::MAX, &key("never"));
        assert_eq!(agenda.due().await, [key("a")]);
        agenda.after(Duration::from_millis(2), &key("d"));
        agenda.after(Duration::from_millis(1), &key("c"));
        let mut rest = agenda.due().await;
        if rest.len() == 1 {
            rest.extend(agenda.due().await);
        }
        assert_eq!(rest, [key("c"), key("d")]);
        assert!(agenda.by_key.is_empty() && agenda.by_time.is_empty());
    }
}
