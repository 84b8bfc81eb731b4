//! `--web ADDRESS:PORT`: the live view of a run in a browser. Off unless asked for, on loopback addresses
//! unless told otherwise, and only for who knows the token in its address.
//!
//! A page and a stream of events (server-sent events), one a second. Who is slow gets the newest state when
//! it is ready for it; nothing is kept for it, and the load knows of nobody.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use http::{Method, Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::RngExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::board::{Board, CellView, State};
use crate::metrics::{Outcome, humanise, nanos};

const PAGE: &str = include_str!("web.html");
const STYLE: &str = include_str!("web.css");
const SCRIPT: &str = include_str!("web.js");
/// Between two events.
const PERIOD: Duration = Duration::from_secs(1);
/// Who watches at the same time, at most.
const WATCHERS: usize = 32;
/// Of each cell, how many of those in flight are shown.
const SHOWN: usize = 10;

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// The server; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Web {
    /// Where the page is.
    pub(super) url: String,
    /// Owns the server's tasks.
    _tasks: JoinSet<()>,
}

impl Web {
    /// Listens and serves.
    pub(super) async fn start(address: SocketAddr, board: Board) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let token = format!("{:032x}", rand::rng().random::<u128>());
        let url = format!("http://{}/{token}/", listener.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, token.into(), board));
        Ok(Self { url, _tasks: tasks })
    }
}

async fn serve(listener: TcpListener, token: Arc<str>, board: Board) {
    let places = Arc::new(Semaphore::new(WATCHERS));
    let mut watchers = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = watchers.join_next() => continue,
        };
        // A connection that is gone before it is taken is the browser's affair.
        let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned())
        else {
            continue;
        };
        let (token, board) = (Arc::clone(&token), board.clone());
        watchers.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&request, &token, &board);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let _ended = connection.await.is_ok();
            drop(place);
        });
    }
}

fn answer<B>(request: &Request<B>, token: &str, board: &Board) -> Response<Body> {
    let path = request.uri().path();
    let inside = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(token));
    match inside {
        _ if request.method() != Method::GET => whole(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "use GET\n".to_owned(),
        ),
        Some("/") => whole(StatusCode::OK, "text/html; charset=utf-8", page()),
        Some("/events") => response(StatusCode::OK, "text/event-stream", events(board.clone())),
        _ => whole(
            StatusCode::NOT_FOUND,
            "text/plain",
            "the address needs its token\n".to_owned(),
        ),
    }
}

fn response(
    status: StatusCode,
    kind: &'static str,
    body: BoxStream<'static, Result<Frame<Bytes>, Infallible>>,
) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    // The address has the token in it.
    headers.insert(
        REFERRER_POLICY,
        http::HeaderValue::from_static("no-referrer"),
    );
    response
}

fn whole(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let body = stream::once(async move { Ok(Frame::data(Bytes::from(text))) });
    response(status, kind, body.boxed())
}

fn page() -> String {
    let digest = |text: &str| {
        format!(
            "sha256-{}",
            STANDARD.encode(Sha256::digest(text.as_bytes()))
        )
    };
    let policy = format!(
        "default-src 'none'; img-src data:; connect-src 'self'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    );
    PAGE.replace("{policy}", &policy)
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT)
}

/// How far a stream of events is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Something,
    Everything,
}

/// The state now and then once a period, until the run is over.
fn events(board: Board) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    let events = stream::unfold((board, Told::Nothing), |(board, told)| async move {
        match told {
            Told::Everything => return None,
            Told::Something => tokio::time::sleep(PERIOD).await,
            Told::Nothing => {}
        }
        let (event, over) = {
            let state = board.lock();
            (format!("data: {}\n\n", state_of(&state)), state.over)
        };
        let told = if over {
            Told::Everything
        } else {
            Told::Something
        };
        Some((Ok(Frame::data(Bytes::from(event))), (board, told)))
    });
    events.boxed()
}

fn state_of(state: &State) -> Value {
    let cells: Vec<Value> = state.cells.iter().map(cell_of).collect();
    json!({
        "name": state.plan.name,
        "over": state.over,
        "cells": cells,
        "flight": state.in_flight(SHOWN),
    })
}

fn cell_of(cell: &CellView) -> Value {
    let thresholds: Vec<Value> = cell
        .thresholds
        .iter()
        .map(|limit| {
            json!({
                "threshold": limit.text,
                "measured": limit.measured.as_ref().map(|(text, _)| text),
                "held": limit.measured.as_ref().map(|(_, outcome)| *outcome == Outcome::Held),
            })
        })
        .collect();
    let failed: Vec<Value> = cell
        .groups
        .iter()
        .map(|group| {
            json!({
                "file": group.place.file,
                "line": group.place.line,
                "step": group.step,
                "message": group.message,
                "count": group.count,
            })
        })
        .collect();
    json!({
        "cell": cell.facts.cell,
        "over": cell.over,
        "share": cell.share(),
        "rate": cell.rate,
        "in_flight": cell.facts.figures.in_flight(),
        "latency": cell.latency.map(|all| all.map(|time| humanise(nanos(time)))),
        "p99_ns": cell.latency.map_or(0, |[.., p99]| nanos(p99)),
        "failures": cell.failures,
        "dropped": cell.dropped,
        "thresholds": thresholds,
        "failed": failed,
    })
}
