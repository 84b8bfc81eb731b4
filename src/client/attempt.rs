//! A call on a sandbox with its attempts: what may be repeated, and when.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::time::{Instant, sleep};

use super::attempts::{Attempt, AttemptOutcome, AttemptTarget};
use super::data::{Answer, Attachments, Call, Operation, perform, request_id};
use super::error::{CallError, ConnectError, Delivered};
use super::refresh::Looked;
use super::sandbox::Sandbox;

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
pub(super) trait Request: Clone + Send {
    /// What a success gives.
    type Answer: Send;

    /// One attempt: in this time, under this id.
    fn send(
        self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> impl Future<Output = Result<Self::Answer, CallError>> + Send;
}

impl Request for Call<'_> {
    type Answer = Answer;

    async fn send(
        mut self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> Result<Answer, CallError> {
        self.timeout = limit;
        let attachments = Attachments {
            headers: &sandbox.options().headers,
            id,
        };
        perform(&sandbox.endpoint(), self, attachments).await
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
        self.attempt(plan, call).await
    }

    /// Makes attempts.
    pub(super) async fn attempt<R: Request>(
        &self,
        plan: Plan<'_>,
        request: R,
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
        let mut next = Some(request);
        let mut number = 0;
        while let Some(request) = next.take() {
            number += 1;
            let spare = (number < policy.max_attempts).then(|| request.clone());
            let started = Instant::now();
            let mut limit = if number > 1 {
                deadline.saturating_duration_since(started)
            } else {
                timeout
            };
            if let (Some(longest), Effect::None) = (policy.attempt_timeout, effect) {
                limit = limit.min(longest);
            }
            let looked = self.refresh_if_stale(operation, limit).await;
            if !matches!(looked, Ok(Looked::Nowhere)) {
                limit = limit.min(deadline.saturating_duration_since(Instant::now()));
            }
            let done = match looked {
                _ if self.is_closed() => Err(closed(operation)),
                Err(error) => Err(error),
                Ok(_) => request.send(self, limit, &id).await,
            };
            if let Err(error) = &done {
                self.suspect(error);
            }
            let pause = match (&done, &spare) {
                (Err(error), Some(_)) if may_repeat(error, effect) => {
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
                outcome: match &done {
                    Ok(_) => AttemptOutcome::Done,
                    Err(error) => AttemptOutcome::Failed {
                        error,
                        retry_in: pause,
                    },
                },
            });
            match (done, pause) {
                (Ok(answer), _) => return Ok(answer),
                (Err(_), Some(pause)) => sleep(pause).await,
                (Err(error), None) if number == 1 => return Err(error),
                (Err(error), None) => {
                    return Err(CallError::Exhausted {
                        operation: operation.to_string(),
                        attempts: number,
                        source: Box::new(error),
                    });
                }
            }
            next = spare;
        }
        Err(closed(operation))
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
