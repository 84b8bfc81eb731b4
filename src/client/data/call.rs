//! One attempt of a call: one request, one answer, one deadline, never repeated here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{InvalidUri, PathAndQuery};
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, FAILURE_LIMIT, Whole, read};
use super::arrival::Arrival;
use super::body::RequestBody;
use super::dial::Sender;
use super::operation::Operation;
use super::pool::{Age, Origin};
use crate::api::header::{REQUEST_ID, SANDBOX_TIMEOUT, TRACEPARENT};
use crate::client::USER_AGENT;
use crate::client::connect::{Endpoint, ExtraHeaders, Routing};
use crate::client::error::{CallError, ConnectError, Delivered};
use crate::client::retry::retry_after;
use crate::client::spans::{method_name, traceparent};
use crate::trace;
use crate::units::ByteSize;

/// The names of our own headers, checked by the compiler instead of with each request.
const REQUEST_ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
const SANDBOX_TIMEOUT_NAME: HeaderName = HeaderName::from_static(SANDBOX_TIMEOUT);
const TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);

/// The most headers of a request straight to a sandbox, and through a router, if the caller adds none. Room for
/// more is made when it is needed.
const HEADERS_STRAIGHT: usize = 6;
const HEADERS_ROUTED: usize = 12;

/// Whether a request may be sent a second time without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Repeat {
    /// It may (it never is, but it may use a connection that was idle for long).
    Harmless,
    /// It must not.
    Harmful,
}

/// One call on a sandbox.
#[derive(Debug)]
pub(in crate::client) struct Call<'a> {
    pub(in crate::client) operation: Operation<'a>,
    pub(in crate::client) method: Method,
    /// Path below the endpoint's prefix, with a leading slash, encoded.
    pub(in crate::client) path: Cow<'static, str>,
    pub(in crate::client) content_type: Option<HeaderValue>,
    pub(in crate::client) body: RequestBody,
    /// Largest answer.
    pub(in crate::client) limit: ByteSize,
    /// For all attempts together.
    pub(in crate::client) timeout: Duration,
    pub(in crate::client) repeat: Repeat,
}

/// What is the same for all attempts of a call, and is not part of what it does.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Attachments<'a> {
    /// They replace those of the endpoint; the routing headers replace both.
    pub(in crate::client) headers: &'a ExtraHeaders,
    /// Names the call in logs.
    pub(in crate::client) id: &'a HeaderValue,
}

/// A call under way.
struct Flight<'a> {
    endpoint: &'a Endpoint,
    attachments: Attachments<'a>,
    operation: Operation<'a>,
    timeout: Duration,
    deadline: Instant,
}

/// Carries out a call up to the head of a successful answer; its body is read by the caller, within
/// this time.
pub(in crate::client) async fn open(
    endpoint: &Endpoint,
    call: &Call<'_>,
    timeout: Duration,
    attachments: Attachments<'_>,
) -> Result<Arrival, CallError> {
    let flight = Flight::new(endpoint, call, timeout, attachments);
    let mut delivered = Delivered::No;
    let done = {
        let work = pin!(async {
            let (sender, response) = flight.depart(call, &mut delivered).await?;
            if response.status().is_success() {
                Ok((sender, response))
            } else {
                Err(flight.refusal(sender, response).await)
            }
        });
        timeout_at(flight.deadline, work).await
    };
    let (sender, response) = done.unwrap_or_else(|_| Err(flight.too_late(delivered)))?;
    let pool = Arc::clone(endpoint.shared_pool());
    let limits = (timeout, flight.deadline);
    Ok(Arrival::new(
        call.operation.to_string(),
        response,
        (pool, sender),
        limits,
    ))
}

/// Carries out a call in this time; gives a successful answer.
pub(in crate::client) async fn perform(
    endpoint: &Endpoint,
    call: &Call<'_>,
    timeout: Duration,
    attachments: Attachments<'_>,
) -> Result<Answer, CallError> {
    let flight = Flight::new(endpoint, call, timeout, attachments);
    let mut delivered = Delivered::No;
    let done = {
        let work = pin!(async {
            let (sender, response) = flight.depart(call, &mut delivered).await?;
            flight.receive(sender, response, call.limit).await
        });
        timeout_at(flight.deadline, work).await
    };
    done.unwrap_or_else(|_| Err(flight.too_late(delivered)))
}

impl<'a> Flight<'a> {
    fn new(
        endpoint: &'a Endpoint,
        call: &Call<'a>,
        timeout: Duration,
        attachments: Attachments<'a>,
    ) -> Self {
        Self {
            endpoint,
            attachments,
            operation: call.operation,
            timeout,
            deadline: Instant::now() + timeout,
        }
    }

    /// Sends a call's request; gives the head of the answer, and tells how far it has come.
    async fn depart(
        &self,
        call: &Call<'_>,
        delivered: &mut Delivered,
    ) -> Result<(Sender, Response<Incoming>), CallError> {
        trace::set_all(|| {
            [
                ("http.request.method", method_name(&call.method).into()),
                ("server.address", self.endpoint.address().into()),
            ]
        });
        let request = self.request(call)?;
        let age = match call.repeat {
            Repeat::Harmless => Age::Any,
            Repeat::Harmful => Age::Young,
        };
        let (sender, response) = self.send(request, age, delivered).await?;
        trace::set("http.response.status_code", || response.status().as_u16());
        Ok((sender, response))
    }

    /// Where the request goes below the host.
    fn target(&self, call: &Call<'_>) -> Result<PathAndQuery, InvalidUri> {
        let text = match (self.endpoint.prefix(), &call.path) {
            ("", Cow::Borrowed(path)) => Bytes::from_static(path.as_bytes()),
            (prefix, path) => Bytes::from([prefix, path].concat()),
        };
        PathAndQuery::from_maybe_shared(text)
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<RequestBody>, CallError> {
        let target = self.target(call);
        let target = target.map_err(|_| CallError::Invalid {
            operation: self.operation.to_string(),
            value: call.path.to_string(),
            problem: "it cannot be part of a request",
        })?;
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = Uri::from(target);
        let headers = request.headers_mut();
        headers.reserve(match self.endpoint.routing() {
            Routing::Straight => HEADERS_STRAIGHT,
            Routing::Router(_) => HEADERS_ROUTED,
        });
        headers.insert(header::HOST, self.endpoint.host().clone());
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(REQUEST_ID_NAME, self.attachments.id.clone());
        for (name, value) in self
            .endpoint
            .headers()
            .iter()
            .chain(self.attachments.headers.iter())
        {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(content_type) = &call.content_type {
            headers.insert(header::CONTENT_TYPE, content_type.clone());
        }
        if let Some(context) = traceparent() {
            headers.insert(TRACEPARENT_NAME, context);
        }
        if let Routing::Router(routing) = self.endpoint.routing() {
            for (name, value) in routing {
                headers.insert(name.clone(), value.clone());
            }
        }
        Ok(request)
    }

    /// Sends the request. A connection that turns out to be closed before anything of the request
    /// was written is replaced by a new one: that is no repetition.
    async fn send(
        &self,
        mut request: Request<RequestBody>,
        mut age: Age,
        delivered: &mut Delivered,
    ) -> Result<(Sender, Response<Incoming>), CallError> {
        loop {
            *delivered = Delivered::No;
            let (mut sender, origin) = match self.endpoint.pool().take(age).await {
                Ok(taken) => taken,
                Err(ConnectError::Closed { .. }) => {
                    return Err(CallError::Closed {
                        operation: self.operation.to_string(),
                    });
                }
                Err(source) => {
                    return Err(CallError::Connect {
                        operation: self.operation.to_string(),
                        source: Box::new(source),
                    });
                }
            };
            if matches!(self.endpoint.routing(), Routing::Router(_)) {
                let left = self.deadline.saturating_duration_since(Instant::now());
                request
                    .headers_mut()
                    .insert(SANDBOX_TIMEOUT_NAME, seconds(left));
            }
            *delivered = Delivered::Unknown;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *delivered = Delivered::Yes;
                    return Ok((sender, response));
                }
                Err(mut failure) => match failure.take_message() {
                    Some(unsent) if origin == Origin::Reused => {
                        request = unsent;
                        age = Age::New;
                    }
                    unsent => {
                        let delivered = if unsent.is_some() {
                            Delivered::No
                        } else {
                            Delivered::Unknown
                        };
                        return Err(self.broken(delivered, failure.into_error()));
                    }
                },
            }
        }
    }

    /// Reads the answer and gives the connection back.
    async fn receive(
        &self,
        sender: Sender,
        response: Response<Incoming>,
        limit: ByteSize,
    ) -> Result<Answer, CallError> {
        if !response.status().is_success() {
            return Err(self.refusal(sender, response).await);
        }
        let (mut head, body) = response.into_parts();
        match self.read(sender, body, limit.0).await? {
            (body, Whole::Yes) => Ok(Answer {
                content_type: head.headers.remove(header::CONTENT_TYPE),
                body,
            }),
            (_, Whole::No) => Err(CallError::TooLarge {
                operation: self.operation.to_string(),
                limit,
                delivered: Delivered::Yes,
            }),
        }
    }

    /// Reads what an answer without success says, and gives the connection back.
    async fn refusal(&self, sender: Sender, response: Response<Incoming>) -> CallError {
        let (head, body) = response.into_parts();
        let body = match self.read(sender, body, FAILURE_LIMIT as u64).await {
            Ok((body, _)) => body,
            Err(error) => return error,
        };
        let operation = self.operation.to_string();
        let status = head.status.as_u16();
        if head.status.is_redirection() {
            let location = head.headers.get(header::LOCATION);
            return CallError::Redirect {
                operation,
                status,
                location: location
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .unwrap_or_default(),
                body,
            };
        }
        CallError::Status {
            operation,
            status,
            body,
            retry_after: retry_after(head.headers.get(header::RETRY_AFTER)),
        }
    }

    /// Reads a body up to a limit; a connection whose body was read to its end is given back.
    async fn read(
        &self,
        sender: Sender,
        body: Incoming,
        most: u64,
    ) -> Result<(Bytes, Whole), CallError> {
        let read = read(body, most).await;
        let (content, whole) = read.map_err(|error| self.broken(Delivered::Yes, error))?;
        if whole == Whole::Yes {
            self.endpoint.pool().give(sender);
        }
        Ok((content, whole))
    }

    fn too_late(&self, delivered: Delivered) -> CallError {
        CallError::Timeout {
            operation: self.operation.to_string(),
            after: self.timeout,
            delivered,
        }
    }

    fn broken(&self, delivered: Delivered, error: hyper::Error) -> CallError {
        CallError::Transport {
            operation: self.operation.to_string(),
            delivered,
            source: error.into(),
        }
    }
}

/// Seconds as a decimal number above 0, without exponent.
fn seconds(left: Duration) -> HeaderValue {
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
    let (whole, mut rest) = (millis / 1000, millis % 1000);
    if rest == 0 {
        return whole.into();
    }
    let mut digits = 3;
    while rest % 10 == 0 {
        (rest, digits) = (rest / 10, digits - 1);
    }
    let mut text = BytesMut::with_capacity(24);
    // Writing to memory that grows cannot fail.
    let _written = write!(text, "{whole}.{rest:0digits$}");
    HeaderValue::from_maybe_shared(text.freeze()).expect("digits are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimal_and_never_zero() {
        for (millis, text) in [
            (0, "0.001"),
            (1, "0.001"),
            (1500, "1.5"),
            (60_000, "60"),
            (59_998, "59.998"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }
}
