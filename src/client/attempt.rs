//! A call on a sandbox with its attempts: what may be repeated, and when.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::time::{Instant, sleep};

use super::attempts::{Attempt, AttemptOutcome, AttemptTarget};
use super::data::{Answer, Attachments, Call, Operation, perform, request_id};
use super::error::{CallError, ConnectError, Delivered};
use super::refresh::Looked;
use super::retry::RetryPolicy;
use super::sandbox::Sandbox;
use super::spans;
use crate::trace;

/// Whether a request changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    None,
    /// It writes or starts something.
    Some,
}

/// What is the same for all attempts of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) operation: Operation<'a>,
    /// For all attempts together.
    pub(super) timeout: Duration,
    pub(super) effect: Effect,
}

/// What can be sent, perhaps more than once.
pub(super) trait Request: Send + Sync {
    /// What a success gives.
    type Answer: Send;

    /// What an attempt is called in a trace.
    fn name(&self) -> Cow<'static, str>;

    /// One attempt: in this time, under this id.
    fn send(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> impl Future<Output = Result<Self::Answer, CallError>> + Send;
}

impl Request for Call<'_> {
    type Answer = Answer;

    fn name(&self) -> Cow<'static, str> {
        spans::http_name(&self.method, &self.path)
    }

    async fn send(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> Result<Answer, CallError> {
        let attachments = Attachments {
            headers: &sandbox.options().headers,
            id,
        };
        perform(&sandbox.endpoint(), self, limit, attachments).await
    }
}

impl Sandbox {
    /// Carries out a call, with as many attempts as its options or the client allow.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        self.fetch(call).await.map(|answer| answer.body)
    }

    /// The same, for who needs to know what the answer is.
    pub(super) async fn fetch(&self, call: Call<'_>) -> Result<Answer, CallError> {
        let plan = Plan {
            operation: call.operation,
            timeout: call.timeout,
            effect: match call.method {
                Method::GET | Method::HEAD => Effect::None,
                _ => Effect::Some,
            },
        };
        self.attempt(plan, &call).await
    }

    /// Makes attempts.
    pub(super) async fn attempt<R: Request>(
        &self,
        plan: Plan<'_>,
        request: &R,
    ) -> Result<R::Answer, CallError> {
        let Plan {
            operation,
            timeout,
            effect,
        } = plan;
        let policy = self.options().retry;
        let policy = policy.unwrap_or_else(|| self.retrier().policy());
        let deadline = Instant::now() + timeout;
        let _under_way = self.under_way();
        let id = request_id();
        let whole = trace::operation(operation.verb);
        self.describe(&whole, operation);
        let mut number = 0;
        loop {
            number += 1;
            let started = Instant::now();
            let place = Place {
                number,
                deadline,
                id: &id,
            };
            let once = pin!(self.once(plan, policy, request, place));
            let done = whole.scope(once).await;
            if let Err(error) = &done {
                self.suspect(error);
            }
            let pause = match &done {
                Err(error) if number < policy.max_attempts && may_repeat(error, effect) => {
                    let asked = error.retry_after();
                    self.retrier().pause(policy, number, asked, deadline)
                }
                _ => None,
            };
            self.retrier().tell(&Attempt {
                target: AttemptTarget::Sandbox,
                operation: &operation,
                number,
                duration: started.elapsed(),
                queued: Duration::ZERO,
                outcome: match &done {
                    Ok(_) => AttemptOutcome::Done,
                    Err(error) => AttemptOutcome::Failed {
                        error,
                        retry_in: pause,
                    },
                },
            });
            match (done, pause) {
                (Ok(answer), _) => {
                    whole.end(None);
                    return Ok(answer);
                }
                (Err(_), Some(pause)) => sleep(pause).await,
                (Err(error), None) if number == 1 => {
                    whole.end(Some(spans::call_error(&error)));
                    return Err(error);
                }
                (Err(error), None) => {
                    whole.end(Some(spans::call_error(&error)));
                    return Err(CallError::Exhausted {
                        operation: operation.to_string(),
                        attempts: number,
                        source: Box::new(error),
                    });
                }
            }
        }
    }

    /// One attempt, to where the sandbox is now.
    async fn once<R: Request>(
        &self,
        plan: Plan<'_>,
        policy: RetryPolicy,
        request: &R,
        place: Place<'_>,
    ) -> Result<R::Answer, CallError> {
        let Place {
            number,
            deadline,
            id,
        } = place;
        let mut limit = if number > 1 {
            deadline.saturating_duration_since(Instant::now())
        } else {
            plan.timeout
        };
        if let (Some(longest), Effect::None) = (policy.attempt_timeout, plan.effect) {
            limit = limit.min(longest);
        }
        let looked = self.refresh_if_stale(plan.operation, limit).await;
        if self.is_closed() {
            return Err(closed(plan.operation));
        }
        if !matches!(looked?, Looked::Nowhere) {
            limit = limit.min(deadline.saturating_duration_since(Instant::now()));
        }
        let span = spans::call_attempt(|| request.name(), number, id);
        let sent = span.scope(pin!(request.send(self, limit, id))).await;
        span.end_as(&sent, spans::call_error);
        sent
    }
}

/// Which attempt of a call it is, until when the call may take, and what the requests are known by.
#[derive(Clone, Copy)]
struct Place<'a> {
    number: u32,
    deadline: Instant,
    id: &'a HeaderValue,
}

impl Sandbox {
    /// Says in a span which sandbox it is about.
    fn describe(&self, span: &trace::Open, operation: Operation<'_>) {
        if span.is_recording() {
            if let Some(path) = operation.file() {
                span.set("sandbox.file.path", path.to_owned());
            }
            span.set_all(self.attributes().clone());
        }
    }
}

fn closed(operation: Operation<'_>) -> CallError {
    CallError::Closed {
        operation: operation.to_string(),
    }
}

/// Whether a call that failed like this can be sent again without harm, and with hope.
fn may_repeat(error: &CallError, effect: Effect) -> bool {
    match error {
        CallError::Connect { source, .. } => may_pass(source),
        CallError::Transport { delivered, .. } | CallError::Timeout { delivered, .. } => {
            effect == Effect::None || *delivered == Delivered::No
        }
        CallError::Status { status, .. } => {
            effect == Effect::None && matches!(status, 429 | 500 | 502 | 503 | 504)
        }
        CallError::Grpc { code, .. } => effect == Effect::None && *code == "UNAVAILABLE",
        _ => false,
    }
}

/// Whether a connection that failed like this may come about later.
fn may_pass(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::Dial { .. }
            | ConnectError::Lookup { .. }
            | ConnectError::Timeout { .. }
            | ConnectError::PortForward { .. }
            | ConnectError::NoRouter { .. }
            | ConnectError::Kube { .. }
    )
}
