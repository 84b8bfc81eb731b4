//! One request to the API server with its attempts: what may be repeated, and when.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use kube::client::Body;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

use super::Api;
use super::answer::{collect, failure, transport};
use crate::client::attempts::{Attempt, AttemptOutcome, AttemptTarget};
use crate::client::error::{Delivered, KubeError, Operation, Verb};
use crate::client::retry::retry_after;

impl Api {
    /// Sends a request and reads the whole answer, with as many attempts as the client's policy
    /// allows within the time of one request.
    pub(super) async fn answer(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
    ) -> Result<Bytes, KubeError> {
        let mut number = 0;
        let limit = self.time_left();
        let deadline = Instant::now() + limit;
        let attempts = self.attempts(request, operation, deadline, &mut number);
        let answered = timeout_at(deadline, attempts).await;
        let answered = self.within(limit, answered, operation);
        answered.map_err(|error| match number {
            0 | 1 => error,
            attempts => KubeError::Exhausted {
                attempts,
                source: Box::new(error),
            },
        })
    }

    async fn attempts(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
        deadline: Instant,
        number: &mut u32,
    ) -> Result<Bytes, KubeError> {
        let policy = self.retrier().policy();
        let mut request = request;
        loop {
            *number += 1;
            let spare = (*number < policy.max_attempts).then(|| request.clone());
            let started = Instant::now();
            let done = self.once(request, operation).await;
            let pause = match &done {
                Err(error) if spare.is_some() && may_repeat(error, operation.verb) => {
                    let asked = error.retry_after();
                    self.retrier().pause(policy, *number, asked, deadline)
                }
                _ => None,
            };
            self.retrier().tell(&Attempt {
                target: AttemptTarget::ApiServer,
                operation,
                number: *number,
                duration: started.elapsed(),
                outcome: match &done {
                    Ok(_) => AttemptOutcome::Done,
                    Err(error) => AttemptOutcome::Failed {
                        error,
                        retry_in: pause,
                    },
                },
            });
            let repeated = *number > 1;
            match (done, pause, spare) {
                (Err(_), Some(pause), Some(again)) => {
                    sleep(pause).await;
                    request = again;
                }
                // An earlier attempt may have removed it.
                (Err(error), ..)
                    if repeated && error.is_not_found() && operation.verb == Verb::Delete =>
                {
                    return Ok(Bytes::new());
                }
                (done, ..) => return done,
            }
        }
    }

    /// One attempt.
    async fn once(
        &self,
        request: Request<Vec<u8>>,
        operation: &Operation,
    ) -> Result<Bytes, KubeError> {
        let picked = self.requests().pick();
        let response = picked
            .client()
            .send(request.map(Body::from))
            .await
            .map_err(|error| transport(error, operation))?;
        let status = response.status();
        let pause = retry_after(response.headers().get(header::RETRY_AFTER));
        let body = collect(response.into_body(), operation).await?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(failure(status, pause, &body, operation))
        }
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
