//! Lists and watches.
//!
//! A watch is a stream of JSON lines from the store's history. Selectors decide at each change whether
//! an object comes into view (ADDED), changes in it (MODIFIED) or leaves it (DELETED).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use rand::RngExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::http::{Body, with_type};
use super::super::json::{Value, json};
use super::super::store::{Event, EventKind, Object, Selector, Store, Watcher};
use super::object_path::ObjectPath;
use super::request::Query;
use super::status::Refusal;
use super::table::{self, Form};
use super::view::View;

/// How often a watcher that wants bookmarks gets one.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(30);

/// The answer to a list.
pub(super) fn list(view: View, objects: &[Arc<Object>], version: u64) -> Response<Body> {
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{version}\"}},\"items\":[",
        view.kind.kind,
        view.api_version()
    );
    let texts: Vec<Bytes> = objects.iter().map(|object| view.text(object)).collect();
    let size: usize = texts.iter().map(|text| text.len() + 1).sum();
    let mut body = BytesMut::with_capacity(head.len() + size + 2);
    body.put_slice(head.as_bytes());
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(text);
    }
    body.put_slice(b"]}");
    with_type(StatusCode::OK, "application/json", body.freeze())
}

/// The answer to a watch: a stream that ends at its time, with the server, or with its reader.
pub(super) fn start(
    store: &Store,
    target: &ObjectPath,
    query: &Query,
    table: Option<Form>,
    (watches, stop): (&Watches, &CancellationToken),
) -> Result<Response<Body>, Refusal> {
    let mut selector = query.selector(target.kind)?;
    if !target.name.is_empty() {
        let by_name = format!("metadata.name={}", target.name);
        selector.fields = super::super::store::FieldSelector::parse(target.kind.kind, &by_name)
            .map_err(|error| Refusal::bad_request(&error.to_string()))?;
    }
    let since = query.resource_version()?;
    let namespace = target.namespace_filter().map(str::to_owned);
    let mut ready = VecDeque::new();
    let position = if let Some(version) = since.filter(|_| !query.wants_initial_events()) {
        version
    } else {
        let (objects, version) = store.list(target.kind, namespace.as_deref(), &selector);
        ready.extend(objects.into_iter().map(|object| (EventKind::Added, object)));
        version
    };
    let watcher = match store.watch(target.kind, position) {
        Ok(watcher) => Ok(watcher),
        Err(expired) => Err(error_line(&Refusal::expired(expired))),
    };
    let lasts = query
        .timeout()
        .unwrap_or_else(|| Duration::from_secs(rand::rng().random_range(1800..3600)));
    let (watcher, failure) = match watcher {
        Ok(watcher) => (Some(watcher), None),
        Err(line) => (None, Some(line)),
    };
    let mut lines: VecDeque<Bytes> = failure.into_iter().collect();
    let form = Shape {
        view: target.view,
        table,
    };
    lines.extend(ready.iter().map(|(kind, object)| form.line(*kind, object)));
    if query.wants_initial_events() {
        lines.push_back(form.bookmark(position, InitialEvents::End));
    }
    let watch = Watch {
        lines,
        watcher,
        namespace,
        selector,
        shape: form,
        ends: Instant::now() + lasts,
        bookmarks: query.wants_bookmarks(),
        stop: stop.clone(),
        _open: watches.enter(),
    };
    let frames = stream::unfold(watch, |mut watch| async move {
        let line = watch.next_line().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), watch))
    });
    let body = StreamBody::new(frames)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    let mut response = with_type(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = body;
    Ok(response)
}

fn error_line(refusal: &Refusal) -> Bytes {
    Bytes::from(format!(
        "{}\n",
        json!({ "type": "ERROR", "object": refusal.status() })
    ))
}

/// How objects are written in a stream.
#[derive(Debug, Clone, Copy)]
struct Shape {
    view: View,
    table: Option<Form>,
}

/// Whether a bookmark says that the initial events are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InitialEvents {
    End,
    No,
}

impl Shape {
    fn line(self, event: EventKind, object: &Arc<Object>) -> Bytes {
        let mut line = BytesMut::new();
        line.put_slice(b"{\"type\":\"");
        line.put_slice(event.as_str().as_bytes());
        line.put_slice(b"\",\"object\":");
        match self.table {
            None => line.put_slice(&self.view.text(object)),
            Some(form) => {
                let table = table::value(
                    self.view,
                    std::slice::from_ref(object),
                    object.version,
                    form,
                );
                line.put_slice(table.to_string().as_bytes());
            }
        }
        line.put_slice(b"}\n");
        line.freeze()
    }

    fn bookmark(self, version: u64, initial: InitialEvents) -> Bytes {
        let mut metadata: Value = json!({ "resourceVersion": version.to_string() });
        if initial == InitialEvents::End {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": self.view.kind.kind, "apiVersion": self.view.api_version(), "metadata": metadata,
        });
        Bytes::from(format!(
            "{}\n",
            json!({ "type": "BOOKMARK", "object": object })
        ))
    }
}

struct Watch {
    lines: VecDeque<Bytes>,
    watcher: Option<Watcher>,
    namespace: Option<String>,
    selector: Selector,
    shape: Shape,
    ends: Instant,
    bookmarks: bool,
    stop: CancellationToken,
    _open: OpenWatch,
}

/// Counts the watches that clients have open. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::loopback) struct Watches(Arc<AtomicUsize>);

impl Watches {
    /// How many are open.
    pub(in crate::loopback) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self) -> OpenWatch {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenWatch(Arc::clone(&self.0))
    }
}

/// One open watch.
struct OpenWatch(Arc<AtomicUsize>);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// The next line, or `None` at the end.
    async fn next_line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let watcher = self.watcher.as_mut()?;
            let bookmark = if self.bookmarks {
                BOOKMARK_PERIOD
            } else {
                Duration::MAX
            };
            let events = tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep(bookmark) => {
                    return Some(self.shape.bookmark(watcher.position(), InitialEvents::No));
                }
                events = watcher.next() => events,
            };
            match events {
                Ok(events) => {
                    for event in events {
                        self.take(&event);
                    }
                }
                Err(expired) => {
                    self.watcher = None;
                    return Some(error_line(&Refusal::expired(expired)));
                }
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let here = |object: &Object| {
            self.namespace
                .as_deref()
                .is_none_or(|wanted| object.namespace() == wanted)
        };
        if !here(&event.object) {
            return;
        }
        let before = event
            .previous
            .as_ref()
            .is_some_and(|object| self.selector.matches(object));
        let after = event.kind != EventKind::Deleted && self.selector.matches(&event.object);
        let line = match (before, after) {
            (false, true) => self.shape.line(EventKind::Added, &event.object),
            (true, true) => self.shape.line(EventKind::Modified, &event.object),
            (true, false) => {
                // The last content that matched, with the version of the change.
                let object = match &event.previous {
                    Some(previous) if event.kind != EventKind::Deleted => {
                        Arc::new(previous.at_version(event.object.version))
                    }
                    _ => Arc::clone(&event.object),
                };
                self.shape.line(EventKind::Deleted, &object)
            }
            (false, false) => return,
        };
        self.lines.push_back(line);
    }
}
