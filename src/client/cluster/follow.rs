//! Following objects over time: list or get, then watch, and again whenever the watch ends.
//!
//! No change is lost: after an interruption the watch continues from the last version seen, or,
//! if that is too old, the objects are read again and told as [`Change::All`].

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::watch::{Event, Watch, WatchEnd};
use super::{Api, Collection, Followed, Selector};
use crate::api::metadata::ObjectList;
use crate::client::error::KubeError;

/// How long a watch may be silent before its connection is taken to be dead. Opening another one
/// costs one request.
const SILENCE: Duration = Duration::from_secs(10);
/// A watch that ends sooner than this, without an event, is not opened again at once.
const SHORT: Duration = Duration::from_secs(1);

/// What a follower starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Start {
    /// Reading the collection.
    List,
    /// Reading the one object (where listing is forbidden).
    Get,
}

/// A change to what is followed.
#[derive(Debug)]
pub(in crate::client) enum Change<T> {
    /// The objects are about to be read.
    Reading,
    /// These are all that exist.
    All(Vec<T>),
    /// This one is new, or has changed.
    Present(T),
    /// This one is gone.
    Gone(T),
}

/// Follows the objects that match.
#[derive(Debug)]
pub(in crate::client) struct Follower<T> {
    api: Api,
    of: Collection,
    selector: Option<Selector>,
    start: Start,
    state: State<T>,
    backoff: Backoff,
    /// Whether the version of the one object was too old to watch from.
    aged: bool,
    /// How often in a row a version was too old.
    expired: u32,
}

#[derive(Debug)]
enum State<T> {
    /// To be read.
    Unread,
    /// Announced; to be read now.
    Reading,
    /// To be watched from this version.
    Read(String),
    /// Being watched.
    Watching {
        watch: Watch<T>,
        opened: Instant,
        heard: bool,
    },
}

impl<T: Followed> Follower<T> {
    /// Follows the objects of a collection.
    pub(in crate::client) fn new(
        api: Api,
        of: Collection,
        selector: Option<Selector>,
        start: Start,
    ) -> Self {
        Self {
            api,
            of,
            selector,
            start,
            state: State::Unread,
            backoff: Backoff::default(),
            aged: false,
            expired: 0,
        }
    }

    /// The next change, however long that takes.
    ///
    /// # Errors
    /// What will not pass by itself: 400, 401, 403, 404, 405 and 422. Everything else is tried
    /// again, at first after 0.1 s, at last every 5 s.
    ///
    /// # Cancel safety
    /// Nothing is lost if dropped.
    pub(in crate::client) async fn next(&mut self) -> Result<Change<T>, KubeError> {
        loop {
            match &mut self.state {
                State::Unread => {
                    self.state = State::Reading;
                    return Ok(Change::Reading);
                }
                State::Reading => match self.read().await {
                    Ok(list) => {
                        let version = if self.aged {
                            String::new()
                        } else {
                            list.metadata.resource_version
                        };
                        self.state = State::Read(version);
                        return Ok(Change::All(list.items));
                    }
                    Err(error) => {
                        self.state = State::Unread;
                        self.pause_or_fail(error).await?;
                    }
                },
                State::Read(version) => {
                    let version = version.clone();
                    let opened =
                        Watch::open(&self.api, &self.of, self.selector.as_ref(), &version).await;
                    match opened {
                        Ok(watch) => {
                            self.state = State::Watching {
                                watch,
                                opened: Instant::now(),
                                heard: false,
                            };
                        }
                        Err(end) => self.ended(end, version).await?,
                    }
                }
                State::Watching { watch, heard, .. } => match watch.next(SILENCE).await {
                    Ok(event) => {
                        *heard = true;
                        self.expired = 0;
                        self.backoff.reset();
                        match event {
                            Event::Present(object) => return Ok(Change::Present(object)),
                            Event::Gone(object) => return Ok(Change::Gone(object)),
                            Event::Bookmark => {}
                        }
                    }
                    Err(end) => {
                        let version = watch.version().to_owned();
                        self.ended(end, version).await?;
                    }
                },
            }
        }
    }

    /// Decides how to go on after a watch has ended.
    async fn ended(&mut self, end: WatchEnd, version: String) -> Result<(), KubeError> {
        let short = match &self.state {
            State::Watching { opened, heard, .. } => !heard && opened.elapsed() < SHORT,
            _ => true,
        };
        // Without a version there is nothing to continue from.
        self.state = if version.is_empty() {
            State::Unread
        } else {
            State::Read(version)
        };
        match end {
            WatchEnd::Expired => {
                self.state = State::Unread;
                // An object that was read alone may be older than the history of changes.
                self.aged = self.start == Start::Get;
                self.expired += 1;
                if short && self.expired > 1 {
                    self.backoff.pause().await;
                }
            }
            WatchEnd::Complete if short => self.backoff.pause().await,
            WatchEnd::Complete | WatchEnd::Silent => {}
            WatchEnd::Broken(source) => {
                tracing::debug!(error = %source, of = ?self.of, "a watch broke off");
                self.backoff.pause().await;
            }
            WatchEnd::Refused(error) => self.pause_or_fail(error).await?,
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<ObjectList<T>, KubeError> {
        match (self.start, self.selector.clone()) {
            (Start::Get, Some(Selector::Name(name))) => self.read_one(&name).await,
            _ => self.api.list(&self.of, self.selector.as_ref()).await,
        }
    }

    /// Reads one object as a list of at most one.
    async fn read_one(&mut self, name: &str) -> Result<ObjectList<T>, KubeError> {
        let read: Result<serde_json::Value, KubeError> = self.api.get(&self.of, name).await;
        let value = match read {
            Ok(value) => value,
            Err(error) if error.is_not_found() => {
                return Ok(ObjectList {
                    metadata: crate::api::metadata::ListMetadata::default(),
                    items: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let version = value
            .pointer("/metadata/resourceVersion")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let object = T::deserialize(value).map_err(|source| KubeError::Decode {
            operation: Box::new(self.of.operation(crate::client::error::Verb::Get, name)),
            source,
        })?;
        Ok(ObjectList {
            metadata: crate::api::metadata::ListMetadata {
                resource_version: version,
                continue_token: String::new(),
            },
            items: vec![object],
        })
    }

    async fn pause_or_fail(&mut self, error: KubeError) -> Result<(), KubeError> {
        if matches!(error.code(), Some(400 | 401 | 403 | 404 | 405 | 422)) {
            return Err(error);
        }
        tracing::debug!(%error, "following is interrupted");
        self.backoff.pause().await;
        Ok(())
    }
}

/// Growing pauses with jitter: 0.1 s, doubled up to 5 s.
#[derive(Debug)]
struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LAST: Duration = Duration::from_secs(5);

    /// Starts over with the shortest pause.
    fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    /// Waits between half and the whole of the current pause.
    async fn pause(&mut self) {
        let share = rand::rng().random_range(0.5..1.0);
        sleep(self.next.mul_f64(share)).await;
        self.next = (self.next * 2).min(Self::LAST);
    }
}
