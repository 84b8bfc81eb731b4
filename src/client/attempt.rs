//! A call on a sandbox with its attempts: what may be repeated, and when.

use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, sleep};

use super::attempts::{Attempt, AttemptOutcome, AttemptTarget};
use super::data::{Attachments, Call, perform, request_id};
use super::error::{CallError, ConnectError, Delivered};
use super::refresh::Looked;
use super::sandbox::Sandbox;

/// Whether a request changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It only reads.
    None,
    /// It writes or starts something.
    Some,
}

impl Sandbox {
    /// Carries out a call, with as many attempts as its options or the client allow.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        let policy = self.options().retry;
        let policy = policy.unwrap_or_else(|| self.retrier().policy());
        let effect = match call.method {
            Method::GET | Method::HEAD => Effect::None,
            _ => Effect::Some,
        };
        let operation = call.operation;
        let deadline = Instant::now() + call.timeout;
        let id = request_id();
        let mut next = Some(call);
        let mut number = 0;
        while let Some(mut call) = next.take() {
            number += 1;
            let spare = (number < policy.max_attempts).then(|| call.clone());
            let started = Instant::now();
            if number > 1 {
                call.timeout = deadline.saturating_duration_since(started);
            }
            if let (Some(limit), Effect::None) = (policy.attempt_timeout, effect) {
                call.timeout = call.timeout.min(limit);
            }
            if self.refresh_if_stale(call.timeout).await == Looked::Up {
                call.timeout = call
                    .timeout
                    .min(deadline.saturating_duration_since(Instant::now()));
            }
            let done = self.once(call, &id).await;
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
        Err(CallError::Closed {
            operation: operation.to_string(),
        })
    }

    /// One attempt.
    async fn once(&self, call: Call<'_>, id: &http::HeaderValue) -> Result<Bytes, CallError> {
        if self.is_closed() {
            return Err(CallError::Closed {
                operation: call.operation.to_string(),
            });
        }
        let endpoint = self.endpoint();
        let attachments = Attachments {
            headers: &self.options().headers,
            id,
        };
        perform(&endpoint, call, attachments).await
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
