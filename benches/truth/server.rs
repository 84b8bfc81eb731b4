//! A server that answers by a law, so that the truth about its latency can be computed: every figure
//! of a load generator that differs from it is the generator's.
//!
//! `truth_server LAW` prints its address and serves until it is killed. Every request of HTTP/1.1 on
//! any path is answered with an empty 200 at the time that the law says, counted from its arrival:
//!
//! - `constant`: after 5 ms;
//! - `bimodal`: every eighth after 50 ms, the others after 5 ms;
//! - `freezing`: at once, but nothing is answered in the first of every five seconds;
//! - `saturating`: one after the other, 10 ms each.
//!
//! A thread of its own releases the answers, since the timers of an asynchronous runtime are a
//! millisecond late.

#![expect(clippy::print_stdout, reason = "the address is for the caller")]
#![expect(
    clippy::disallowed_types,
    reason = "the thread that releases answers waits on the system's clock"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error>;

/// When an answer is due.
#[derive(Debug)]
enum Law {
    Constant,
    Bimodal(AtomicU64),
    Freezing(Instant),
    /// Since when the only worker is free.
    Saturating(Mutex<Instant>),
}

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_millis(50);
const WORK: Duration = Duration::from_millis(10);
const PERIOD: Duration = Duration::from_secs(5);
const FROZEN: Duration = Duration::from_secs(1);

impl Law {
    fn named(name: &str) -> Option<Self> {
        match name {
            "constant" => Some(Self::Constant),
            "bimodal" => Some(Self::Bimodal(AtomicU64::new(0))),
            "freezing" => Some(Self::Freezing(Instant::now())),
            "saturating" => Some(Self::Saturating(Mutex::new(Instant::now()))),
            _ => None,
        }
    }

    /// When a request that arrived at this time is answered.
    fn due(&self, arrival: Instant) -> Instant {
        match self {
            Self::Constant => arrival + SHORT,
            Self::Bimodal(count) => {
                let slow = count.fetch_add(1, Ordering::Relaxed) % 8 == 7;
                arrival + if slow { LONG } else { SHORT }
            }
            Self::Freezing(start) => {
                let since = arrival.duration_since(*start).as_nanos() % PERIOD.as_nanos();
                let frozen = FROZEN.as_nanos().saturating_sub(since);
                arrival + Duration::from_nanos(u64::try_from(frozen).unwrap_or(0))
            }
            Self::Saturating(free) => {
                let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
                *free = arrival.max(*free) + WORK;
                *free
            }
        }
    }
}

/// An answer to be released.
struct Waiting {
    due: Instant,
    answer: oneshot::Sender<()>,
}

/// Releases answers when they are due, until nobody can send any more.
fn release(incoming: &Receiver<Waiting>) {
    let mut waiting: BTreeMap<Instant, Vec<oneshot::Sender<()>>> = BTreeMap::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        let now = Instant::now();
        let next = waiting.keys().next().copied();
        let received = match next {
            Some(due) if due <= now => {
                let answers = waiting.pop_first().map(|(_, answers)| answers);
                for answer in answers.into_iter().flatten() {
                    // Who does not wait any more needs no answer.
                    let _unheard = answer.send(());
                }
                continue;
            }
            Some(due) => incoming.recv_timeout(due - now),
            None => incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(Waiting { due, answer }) => {
                waiting.entry(due).or_default().push(answer);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
    }
}

async fn serve(law: Arc<Law>, releases: Sender<Waiting>, stream: tokio::net::TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let arrival = Instant::now();
        let (answer, released) = oneshot::channel();
        let due = law.due(arrival);
        let sent = releases.send(Waiting { due, answer });
        async move {
            drop(request.into_body().collect().await);
            if sent.is_ok() {
                drop(released.await);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away is none of our business.
    drop(connection.await);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let law = Law::named(&name).ok_or("one of: constant, bimodal, freezing, saturating")?;
    let law = Arc::new(law);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (releases, incoming) = channel();
    std::thread::spawn(move || release(&incoming));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(serve(Arc::clone(&law), releases.clone(), stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
