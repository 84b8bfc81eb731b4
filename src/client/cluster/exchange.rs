//! One request to the API server with its attempts: what may be repeated, and when.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use kube::client::Body;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Api;
use super::answer::{collect, failure, transport};
use super::api::plain;
use crate::api::header::TRACEPARENT;
use crate::client::attempts::{Attempt, AttemptOutcome, AttemptTarget};
use crate::client::error::{Delivered, KubeError, Operation, Verb};
use crate::client::retry::retry_after;
use crate::client::spans::{kube_attempt, kube_error, traceparent};
use crate::trace;

/// The attempts of one request so far.
struct Attempts {
    /// The number of the one that is under way, counted from 1.
    number: u32,
    started: Instant,
    queued: Duration,
}

impl Api {
    /// Reads a text, such as a log.
    pub(in crate::client) async fn text(
        &self,
        path: &str,
        operation: &Operation,
    ) -> Result<String, KubeError> {
        let body = self.answer(plain(Method::GET, path), operation).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a request and reads the whole answer, with as many attempts as the client's policy
    /// allows within the time of one request.
    pub(super) async fn answer(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
    ) -> Result<Bytes, KubeError> {
        let mut so_far = Attempts {
            number: 0,
            started: Instant::now(),
            queued: Duration::ZERO,
        };
        let limit = self.time_left();
        let deadline = Instant::now() + limit;
        let attempts = self.attempts(request, operation, deadline, &mut so_far);
        let answered = timeout_at(deadline, attempts).await;
        let in_time = answered.is_ok();
        let answered = self.within(limit, answered, operation);
        answered.map_err(|error| {
            if !in_time {
                self.tell(operation, &so_far, Err((&error, None)));
            }
            match so_far.number {
                0 | 1 => error,
                attempts => KubeError::Exhausted {
                    attempts,
                    source: Box::new(error),
                },
            }
        })
    }

    async fn attempts(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
        deadline: Instant,
        so_far: &mut Attempts,
    ) -> Result<Bytes, KubeError> {
        let policy = self.retrier().policy();
        let mut request = request;
        loop {
            so_far.number += 1;
            so_far.started = Instant::now();
            let number = so_far.number;
            let spare = (number < policy.max_attempts).then(|| request.clone());
            let span = kube_attempt(request.method(), operation, number);
            let done = span.scope(self.once(request, operation, so_far)).await;
            span.end_as(&done, kube_error);
            let pause = match &done {
                Err(error) if spare.is_some() && may_repeat(error, operation.verb) => {
                    let asked = error.retry_after();
                    self.retrier().pause(policy, number, asked, deadline)
                }
                _ => None,
            };
            let ended = done.as_ref().map(drop).map_err(|error| (error, pause));
            self.tell(operation, so_far, ended);
            match (done, pause, spare) {
                (Err(_), Some(pause), Some(again)) => {
                    sleep(pause).await;
                    request = again;
                }
                // An earlier attempt may have removed it.
                (Err(error), ..)
                    if number > 1 && error.is_not_found() && operation.verb == Verb::Delete =>
                {
                    return Ok(Bytes::new());
                }
                (done, ..) => return done,
            }
        }
    }

    /// Counts an attempt that is over.
    fn tell(
        &self,
        operation: &Operation,
        attempt: &Attempts,
        ended: Result<(), (&KubeError, Option<Duration>)>,
    ) {
        self.retrier().tell(&Attempt {
            target: AttemptTarget::ApiServer,
            operation,
            number: attempt.number,
            duration: attempt.started.elapsed(),
            queued: attempt.queued,
            outcome: match ended {
                Ok(()) => AttemptOutcome::Done,
                Err((error, retry_in)) => AttemptOutcome::Failed { error, retry_in },
            },
        });
    }

    /// One attempt.
    async fn once(
        &self,
        mut request: Request<Vec<u8>>,
        operation: &Operation,
        attempt: &mut Attempts,
    ) -> Result<Bytes, KubeError> {
        if let Some(context) = traceparent() {
            request.headers_mut().insert(TRACEPARENT, context);
        }
        let picked = self.requests().pick().await;
        attempt.queued = attempt.started.elapsed();
        let response = picked
            .client()
            .send(request.map(Body::from))
            .await
            .map_err(|error| transport(error, operation))?;
        let status = response.status();
        trace::set("http.response.status_code", || status.as_u16());
        let pause = retry_after(response.headers().get(header::RETRY_AFTER));
        let body = collect(response.into_body(), operation).await?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(failure(status, pause, &body, operation))
        }
    }

    /// Sends a request once; gives the headers of its answer, which is otherwise of no interest.
    pub(in crate::client) async fn headers(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
    ) -> Result<HeaderMap, KubeError> {
        let asked = async {
            let picked = self.requests().pick().await;
            let sent = picked.client().send(request.map(Body::from)).await;
            let response = sent.map_err(|error| transport(error, operation))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = collect(response.into_body(), operation).await?;
            if status.is_success() {
                Ok(headers)
            } else {
                Err(failure(status, None, &body, operation))
            }
        };
        let limit = self.time_left();
        self.within(limit, timeout(limit, asked).await, operation)
    }

    /// The result of a request that had this time.
    pub(super) fn within<T>(
        &self,
        limit: Duration,
        result: Result<Result<T, KubeError>, Elapsed>,
        operation: &Operation,
    ) -> Result<T, KubeError> {
        let operation = || Box::new(operation.clone());
        match result {
            Err(_) => Err(KubeError::Timeout {
                operation: operation(),
                after: limit,
            }),
            // Closing the client ends its connections.
            Ok(Err(KubeError::Transport { delivered, .. })) if self.tasks().is_ended() => {
                Err(KubeError::Closed {
                    operation: operation(),
                    delivered,
                })
            }
            Ok(result) => result,
        }
    }
}

/// Whether a request that failed like this can be sent again without harm, and with hope.
///
/// An API server that limits the rate (429) has not looked at the request. One that is not
/// available (503) may have carried it out; creating is the only thing that would then differ.
fn may_repeat(error: &KubeError, verb: Verb) -> bool {
    let reads = matches!(verb, Verb::Get | Verb::List | Verb::Watch);
    match error {
        KubeError::Status { code: 429, .. } => true,
        KubeError::Status { code: 503, .. } => verb != Verb::Create,
        KubeError::Status { code, .. } => reads && matches!(code, 500 | 502 | 504),
        KubeError::Transport { delivered, .. } => reads || *delivered == Delivered::No,
        _ => false,
    }
}
