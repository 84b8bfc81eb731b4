//! gRPC calls on sandboxd, with their deadline, attempts and errors.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use super::attempt::{Effect, Plan, Request};
use super::commands::MESSAGE_LIMIT;
use super::data::{GrpcFailure, Operation, Sending, code_name};
use super::error::{CallError, Delivered};
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use super::spans::grpc_name;

/// A gRPC call.
#[derive(Debug)]
pub(super) struct GrpcCall<'a, Q, A> {
    pub(super) operation: Operation<'a>,
    /// One of the methods' paths.
    pub(super) path: &'static str,
    pub(super) message: &'a Q,
    /// For the whole call.
    pub(super) timeout: Duration,
    /// What the server is told, if that is less: it ends the call then, and says so.
    pub(super) server_time: Option<Duration>,
    pub(super) answer: PhantomData<fn() -> A>,
}

impl<Q, A> Clone for GrpcCall<'_, Q, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, A> Copy for GrpcCall<'_, Q, A> {}

impl<Q, A> Request for GrpcCall<'_, Q, A>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    type Answer = A;

    fn name(&self) -> Cow<'static, str> {
        grpc_name(self.path)
    }

    async fn send(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> Result<A, CallError> {
        let endpoint = sandbox.endpoint();
        let channel = endpoint
            .channel()
            .ok_or_else(|| no_processes(self.operation))?;
        let sending = Sending {
            path: self.path,
            limit: MESSAGE_LIMIT,
            timeout: Some(self.server_time.map_or(limit, |time| time.min(limit))),
            id,
        };
        match timeout(limit, channel.unary(self.message, sending)).await {
            Ok(done) => done.map_err(|failure| self.failed(failure)),
            Err(_) => Err(self.too_late(Delivered::Unknown)),
        }
    }
}

/// The same, with a stream of answers. The time bounds the start, not the stream.
#[derive(Debug)]
pub(super) struct GrpcStream<'a, Q, A>(pub(super) GrpcCall<'a, Q, A>);

impl<Q, A> Request for GrpcStream<'_, Q, A>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    type Answer = Streaming<A>;

    fn name(&self) -> Cow<'static, str> {
        grpc_name(self.0.path)
    }

    async fn send(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> Result<Streaming<A>, CallError> {
        let Self(call) = self;
        let endpoint = sandbox.endpoint();
        let channel = endpoint
            .channel()
            .ok_or_else(|| no_processes(call.operation))?;
        let sending = Sending {
            path: call.path,
            limit: MESSAGE_LIMIT,
            timeout: None,
            id,
        };
        match timeout(limit, channel.streaming(call.message, sending)).await {
            Ok(done) => done.map_err(|failure| call.failed(failure)),
            Err(_) => Err(call.too_late(Delivered::Unknown)),
        }
    }
}

impl<Q, A> GrpcCall<'_, Q, A> {
    /// What the attempts of this call have in common. It may have been received whatever happens.
    pub(super) fn plan(&self) -> Plan<'_> {
        Plan {
            operation: self.operation,
            timeout: self.timeout,
            effect: Effect::Some,
        }
    }

    fn failed(&self, failure: GrpcFailure) -> CallError {
        match failure {
            GrpcFailure::Status(Code::DeadlineExceeded, _) => self.too_late(Delivered::Yes),
            other => call_error(self.operation, other),
        }
    }

    fn too_late(&self, delivered: Delivered) -> CallError {
        CallError::Timeout {
            operation: self.operation.to_string(),
            after: self.timeout,
            delivered,
        }
    }
}

pub(super) fn no_processes(operation: Operation<'_>) -> CallError {
    operation.unsupported(
        Runtime::Legacy,
        "starts no processes: it only runs commands",
    )
}

/// What a failure of a gRPC call is for the caller.
pub(super) fn call_error(operation: Operation<'_>, failure: GrpcFailure) -> CallError {
    let operation_text = operation.to_string();
    let transport = |delivered, source| CallError::Transport {
        operation: operation_text.clone(),
        delivered,
        source,
    };
    match failure {
        GrpcFailure::Connect(super::error::ConnectError::Closed { .. }) => CallError::Closed {
            operation: operation_text,
        },
        GrpcFailure::Connect(source) => CallError::Connect {
            operation: operation_text,
            source: Box::new(source),
        },
        GrpcFailure::Unsent(source) => transport(Delivered::No, source),
        GrpcFailure::Broken(source) => transport(Delivered::Unknown, source),
        GrpcFailure::TooLarge => CallError::TooLarge {
            operation: operation_text,
            limit: MESSAGE_LIMIT,
            delivered: Delivered::Yes,
        },
        GrpcFailure::Status(code, message) => CallError::Grpc {
            operation: operation_text,
            code: code_name(code),
            message,
        },
    }
}
