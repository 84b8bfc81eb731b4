//! A server that answers by a law, so that the truth about its latency can be computed: every figure
//! of a load generator that differs from it is the generator's.
//!
//! `truth_server LAW [TIMES]` prints its address and serves until it is killed. Every request of HTTP/1.1 on
//! any path is answered with an empty 200 at the time that the law says, counted from its arrival:
//!
//! - `constant`: after 5 ms;
//! - `bimodal`: every eighth after 50 ms, the others after 5 ms;
//! - `freezing`: at once, but nothing is answered in the first of every five seconds;
//! - `saturating`: one after the other, 10 ms each, or that divided by TIMES.
//!
//! Whoever waits looks at the clock for the last two milliseconds, since the timers of an asynchronous
//! runtime are late by one: about a third of a core at 200 requests per second.

#![expect(clippy::print_stdout, reason = "the address is for the caller")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// When an answer is due.
#[derive(Debug)]
enum Law {
    Constant,
    Bimodal(AtomicU64),
    Freezing(Instant),
    /// Since when the only worker is free, and how long it works at each.
    Saturating(Mutex<Instant>, Duration),
}

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_millis(50);
const WORK: Duration = Duration::from_millis(10);
const PERIOD: Duration = Duration::from_secs(5);
const FROZEN: Duration = Duration::from_secs(1);

impl Law {
    fn named(name: &str, times: u32) -> Option<Self> {
        match name {
            "constant" => Some(Self::Constant),
            "bimodal" => Some(Self::Bimodal(AtomicU64::new(0))),
            "freezing" => Some(Self::Freezing(Instant::now())),
            "saturating" => Some(Self::Saturating(Mutex::new(Instant::now()), WORK / times)),
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
            Self::Saturating(free, work) => {
                let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
                *free = arrival.max(*free) + *work;
                *free
            }
        }
    }
}

/// How long before an answer is due its task stops to sleep: the runtime's timers are up to a
/// millisecond late.
const AWAKE: Duration = Duration::from_millis(2);

/// Waits until exactly then: sleeps for most of the time, and looks at the clock for the rest.
async fn until(due: Instant) {
    if let Some(early) = due.checked_sub(AWAKE) {
        tokio::time::sleep_until(early).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

async fn serve(law: Arc<Law>, stream: tokio::net::TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let due = law.due(Instant::now());
        async move {
            drop(request.into_body().collect().await);
            until(due).await;
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
    let times = std::env::args().nth(2).map_or(Ok(1), |text| text.parse())?;
    let law = Law::named(&name, times).ok_or("one of: constant, bimodal, freezing, saturating")?;
    let law = Arc::new(law);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(serve(Arc::clone(&law), stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
