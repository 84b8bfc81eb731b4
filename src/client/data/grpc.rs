//! gRPC to one target: one HTTP/2 connection for all calls, made when it is needed and anew when it
//! has ended.
//!
//! A call is sent once. One that meets a connection that had ended before anything was written goes
//! to a new one: that is no repetition.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::SendRequest;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::dial::{Network, Route};
use crate::api::header::{REQUEST_ID, TRACEPARENT};
use crate::client::error::{BoxError, ConnectError};
use crate::client::tasks::Tasks;
use crate::trace;
use crate::units::ByteSize;

pub(super) type Sender = SendRequest<tonic::body::Body>;

/// Why a gRPC call failed.
#[derive(Debug)]
pub(in crate::client) enum GrpcFailure {
    /// There is no connection.
    Connect(ConnectError),
    /// The connection had ended before anything was written.
    Unsent(BoxError),
    /// The connection ended, or the answer is not gRPC.
    Broken(BoxError),
    /// The answer is larger than allowed.
    TooLarge,
    /// The server says so.
    Status(Code, String),
}

impl GrpcFailure {
    /// Whether the next call should have another connection.
    fn spoils_connection(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Broken(_) => true,
            Self::Status(code, _) => *code == Code::Unavailable,
            Self::Connect(_) | Self::TooLarge => false,
        }
    }
}

/// What tonic says of an answer above the limit.
const TOO_LARGE: &str = "decoded message length too large";

/// A request that was given back: nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[error("the connection had ended")]
struct Unsent(#[source] hyper::Error);

/// How a call is sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Sending<'a> {
    /// One of the methods' paths.
    pub(in crate::client) path: &'static str,
    /// Largest message of the answer.
    pub(in crate::client) limit: ByteSize,
    /// The time that the server is told; none for a stream, which may last.
    pub(in crate::client) timeout: Option<Duration>,
    /// Names the call in logs.
    pub(in crate::client) id: &'a HeaderValue,
}

/// The gRPC connection to one target.
#[derive(Debug)]
pub(in crate::client) struct Channel {
    route: Route,
    origin: Uri,
    network: Arc<Network>,
    tasks: Tasks,
    current: Mutex<Current>,
    /// Held while a connection is made, so that only one is.
    dialling: tokio::sync::Mutex<()>,
}

/// The open connection. Each has a number, so that a late failure cannot end a newer one.
#[derive(Debug, Default)]
struct Current {
    number: u64,
    sender: Option<Sender>,
}

impl Channel {
    pub(super) fn new(route: Route, origin: Uri, network: Arc<Network>, tasks: Tasks) -> Self {
        Self {
            route,
            origin,
            network,
            tasks,
            current: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
        }
    }

    /// Makes sure that there is an open connection.
    pub(in crate::client) async fn prove(&self) -> Result<(), ConnectError> {
        self.sender().await.map(drop)
    }

    /// Ends the connection and waits for its end.
    pub(in crate::client) async fn close(&self) {
        self.tasks.end();
        self.current().sender = None;
        self.tasks.close().await;
    }

    /// One request, one answer.
    pub(in crate::client) async fn unary<Q, A>(
        &self,
        message: &Q,
        sending: Sending<'_>,
    ) -> Result<A, GrpcFailure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut answers = self.streaming::<Q, A>(message, sending).await?;
        let answer = answers.message().await.map_err(failure)?;
        let answer = answer.ok_or_else(|| GrpcFailure::Broken("there is no answer".into()))?;
        // What comes after the answer is its status.
        match answers.message().await.map_err(failure)? {
            None => Ok(answer),
            Some(_) => Err(GrpcFailure::Broken("there is a second answer".into())),
        }
    }

    /// One request, a stream of answers. Dropping the stream cancels the call.
    pub(in crate::client) async fn streaming<Q, A>(
        &self,
        message: &Q,
        sending: Sending<'_>,
    ) -> Result<Streaming<A>, GrpcFailure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut repeated = false;
        loop {
            let (number, sender) = self.sender().await.map_err(GrpcFailure::Connect)?;
            let mut grpc = self.grpc(sender, sending.limit);
            grpc.ready()
                .await
                .map_err(|error: BoxError| GrpcFailure::Broken(error))?;
            let path = PathAndQuery::from_static(sending.path);
            let request = request(message.clone(), sending);
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.server_streaming(request, path, codec).await;
            let error = match answer.map_err(failure) {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(error) => error,
            };
            if error.spoils_connection() {
                self.forget(number);
            }
            let unsent = matches!(error, GrpcFailure::Unsent(_));
            if !unsent || std::mem::replace(&mut repeated, true) {
                return Err(error);
            }
        }
    }

    fn grpc(
        &self,
        sender: Sender,
        limit: ByteSize,
    ) -> Grpc<
        impl tonic::client::GrpcService<
            tonic::body::Body,
            ResponseBody = hyper::body::Incoming,
            Error = BoxError,
            Future: Send,
        > + use<>,
    > {
        let service = tower::service_fn(move |request| {
            let mut sender = sender.clone();
            async move {
                let sent = sender.try_send_request(request).await;
                sent.map_err(given_back)
            }
        });
        let limit = usize::try_from(limit.0).unwrap_or(usize::MAX);
        Grpc::with_origin(service, self.origin.clone()).max_decoding_message_size(limit)
    }

    /// The open connection, or a new one.
    async fn sender(&self) -> Result<(u64, Sender), ConnectError> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let _dialling = self.dialling.lock().await;
        if let Some(open) = self.open() {
            return Ok(open);
        }
        if self.tasks.is_ended() {
            return Err(ConnectError::Closed {
                target: self.route.describe(),
            });
        }
        // Large and seldom: not a part of every call's future.
        let sender = Box::pin(self.network.dial_grpc(&self.route, &self.tasks)).await?;
        let mut current = self.current();
        current.number += 1;
        current.sender = Some(sender.clone());
        Ok((current.number, sender))
    }

    fn open(&self) -> Option<(u64, Sender)> {
        if self.tasks.is_ended() {
            return None;
        }
        let current = self.current();
        let open = current.sender.clone();
        let open = open.filter(|sender| !sender.is_closed());
        open.map(|sender| (current.number, sender))
    }

    /// Lets the next call have a new connection; the calls on this one go on.
    fn forget(&self, number: u64) {
        let mut current = self.current();
        if current.number == number {
            current.sender = None;
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

/// Tells a request that was not written from one that may have been.
fn given_back<T>(mut failure: TrySendError<T>) -> BoxError {
    let unsent = failure.take_message().is_some();
    let error = failure.into_error();
    if unsent {
        Unsent(error).into()
    } else {
        error.into()
    }
}

fn request<Q>(message: Q, sending: Sending<'_>) -> Request<Q> {
    let mut request = Request::new(message);
    if let Some(timeout) = sending.timeout {
        request.set_timeout(timeout);
    }
    let name = HeaderName::from_static(REQUEST_ID);
    let value = sending.id.to_str().ok();
    let value = value.and_then(|id| AsciiMetadataValue::try_from(id).ok());
    if let (Ok(name), Some(value)) = (
        AsciiMetadataKey::from_bytes(name.as_str().as_bytes()),
        value,
    ) {
        request.metadata_mut().insert(name, value);
    }
    let context = trace::carried().map(|context| context.to_string());
    if let Some(Ok(context)) = context.map(AsciiMetadataValue::try_from) {
        request.metadata_mut().insert(TRACEPARENT, context);
    }
    request
}

/// What a status means: tonic makes one also of every failure of the connection.
pub(in crate::client) fn failure(status: Status) -> GrpcFailure {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    // tonic's own words: no server can send a message that is too large for us to know of.
    if status.code() == Code::OutOfRange && status.message().contains(TOO_LARGE) {
        return GrpcFailure::TooLarge;
    }
    if cause.is_none() {
        return GrpcFailure::Status(status.code(), status.message().to_owned());
    }
    while let Some(error) = cause {
        if error.is::<Unsent>() {
            return GrpcFailure::Unsent(status.into());
        }
        cause = error.source();
    }
    GrpcFailure::Broken(status.into())
}

/// A code as the gRPC specification writes it.
pub(in crate::client) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
