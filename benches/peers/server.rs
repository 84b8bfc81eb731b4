//! A runtime that does nothing, as fast as it can: what is measured against it is the generator.
//!
//! `noop_runtime` prints its address and serves until it is killed. Every request of HTTP/1.1 is
//! answered at once: `POST` as a command that printed nothing, anything else with an empty 200. One
//! thread, so that it can be pinned to one core.

#![expect(clippy::print_stdout, reason = "the address is for the caller")]

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What upstream's runtime says of `true`.
const NOTHING: &str = r#"{"stdout":"","stderr":"","exit_code":0}"#;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_command = request.method() == Method::POST;
    let mut body = request.into_body();
    // A body that breaks off ends the connection by itself.
    while let Some(Ok(_)) = body.frame().await {}
    if !is_command {
        return Ok(Response::default());
    }
    let mut response = Response::new(Full::new(Bytes::from_static(NOTHING.as_bytes())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(async move {
                    let serving = http1::Builder::new()
                        .pipeline_flush(true)
                        .serve_connection(TokioIo::new(stream), service_fn(answer));
                    // A client that goes away is none of our business.
                    drop(serving.await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
