//! The shared watches of what goes away: one per kind, for everyone who waits for an end.
//!
//! A waiter subscribes to a name, then reads the object once, and is told when the watch shows it
//! gone or replaced, or that all objects were read again, so that it must look itself. Only names
//! that somebody waits for are kept. If the API server refuses the watch, waiters are told that too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::watch;

use super::cluster::{Api, Change, Collection, Follower, Selector, Start, followed};
use super::tasks::Tasks;
use crate::api::metadata::Metadata;

/// What a waiter is told of the object of its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum News {
    /// Nothing yet.
    #[default]
    None,
    /// Everything was read again, and it may be gone: look.
    Look,
    /// One with this UID is there.
    Present(String),
    /// The one with this UID is gone.
    Gone(String),
    /// There will be no news.
    Refused,
}

/// The shared watches of a client, by the plural name of the kind.
#[derive(Debug, Default)]
pub(super) struct Departures(Mutex<HashMap<&'static str, Feed>>);

/// The shared watch of one kind. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Feed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<String, watch::Sender<News>>,
    refused: bool,
}

/// All that is read of an object.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

followed!(Any);

impl Departures {
    /// The watch of a kind, which begins with the first who asks for it.
    pub(super) fn of(
        &self,
        api: &Api,
        (kind, selector): (&Collection, Option<Selector>),
        tasks: &Tasks,
    ) -> Feed {
        let mut feeds = lock(&self.0);
        let feed = feeds.entry(kind.resource.plural).or_insert_with(|| {
            let feed = Feed(Arc::default());
            let follower = Follower::new(api.clone(), kind.clone(), selector, Start::List);
            let worker = feed.clone();
            tasks.spawn(async move { worker.follow(follower).await });
            feed
        });
        feed.clone()
    }
}

impl Feed {
    /// News of the object of this name from now on.
    pub(super) fn subscribe(&self, name: &str) -> Waiter {
        let mut state = lock(&self.0);
        let first = if state.refused {
            News::Refused
        } else {
            News::None
        };
        let sender = state.waiting.entry(name.to_owned());
        let sender = sender.or_insert_with(|| watch::Sender::new(first));
        Waiter {
            receiver: Some(sender.subscribe()),
            name: name.to_owned(),
            feed: self.clone(),
        }
    }

    async fn follow(self, mut follower: Follower<Any>) {
        loop {
            match follower.next().await {
                Ok(Change::Reading) => {}
                Ok(Change::All(_)) => self.tell_all(&News::Look),
                Ok(Change::Present(object)) => self.tell(object, News::Present),
                Ok(Change::Gone(object)) => self.tell(object, News::Gone),
                Err(error) => {
                    tracing::debug!(%error, "what goes away is watched one by one");
                    lock(&self.0).refused = true;
                    self.tell_all(&News::Refused);
                    return;
                }
            }
        }
    }

    fn tell(&self, object: Any, news: fn(String) -> News) {
        if let Some(sender) = lock(&self.0).waiting.get(&object.metadata.name) {
            sender.send_replace(news(object.metadata.uid));
        }
    }

    fn tell_all(&self, news: &News) {
        for sender in lock(&self.0).waiting.values() {
            sender.send_replace(news.clone());
        }
    }
}

/// Listens for news of one name.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Taken only when dropped.
    receiver: Option<watch::Receiver<News>>,
    name: String,
    feed: Feed,
}

impl Waiter {
    /// The last news that were not told yet; of several only the last. After
    /// [`News::Refused`] that again and again.
    ///
    /// # Cancel safety
    /// Nothing is lost if dropped.
    pub(super) async fn next(&mut self) -> News {
        let Some(receiver) = &mut self.receiver else {
            return News::Refused;
        };
        let refused = *receiver.borrow() == News::Refused;
        if !refused && receiver.changed().await.is_err() {
            return News::Refused;
        }
        receiver.borrow_and_update().clone()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = lock(&self.feed.0);
        drop(self.receiver.take());
        let over = state.waiting.get(&self.name);
        if over.is_some_and(|sender| sender.receiver_count() == 0) {
            state.waiting.remove(&self.name);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, uid: &str) -> Any {
        Any {
            metadata: Metadata {
                name: name.to_owned(),
                uid: uid.to_owned(),
                ..Metadata::default()
            },
        }
    }

    #[tokio::test]
    async fn each_waiter_hears_of_its_own_object_and_names_are_forgotten() {
        let feed = Feed(Arc::default());
        let (mut a, mut again, mut b) = (
            feed.subscribe("a"),
            feed.subscribe("a"),
            feed.subscribe("b"),
        );
        feed.tell(object("a", "1"), News::Present);
        feed.tell(object("a", "1"), News::Gone);
        feed.tell(object("c", "3"), News::Gone);
        assert_eq!(a.next().await, News::Gone("1".to_owned()));
        assert_eq!(again.next().await, News::Gone("1".to_owned()));
        feed.tell_all(&News::Look);
        assert_eq!(b.next().await, News::Look);
        drop(a);
        assert_eq!(lock(&feed.0).waiting.len(), 2);
        drop((again, b));
        assert!(lock(&feed.0).waiting.is_empty());
    }

    #[tokio::test]
    async fn a_refused_watch_is_told_to_those_who_wait_and_to_those_who_come_later() {
        let feed = Feed(Arc::default());
        let mut before = feed.subscribe("a");
        lock(&feed.0).refused = true;
        feed.tell_all(&News::Refused);
        let mut after = feed.subscribe("b");
        for waiter in [&mut before, &mut after] {
            assert_eq!(waiter.next().await, News::Refused);
            assert_eq!(waiter.next().await, News::Refused);
        }
    }
}
