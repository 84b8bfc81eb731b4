//! Computer use: a sandbox whose image has an agent is asked to do something.
//!
//! Source: Python SDK 1.0.8 (`POST /agent`; the answer has the shape of a command's).

use std::time::Duration;

use http::{HeaderValue, Method};

use super::commands::ExecutionResult;
use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::error::CallError;
use super::sandbox::Sandbox;
use crate::api::runtime::{AgentRequest, ExecuteResponse};
use crate::units::ByteSize;

/// Largest answer: as of a command.
const ANSWER_LIMIT: ByteSize = ByteSize(16 << 20);

/// What the agent in a sandbox is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentQuery {
    /// In words.
    pub query: String,
    /// How long the call may take. Default: the client's request timeout.
    pub timeout: Option<Duration>,
}

impl AgentQuery {
    /// A query with the default timeout.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            timeout: None,
        }
    }

    /// The same query with this timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl From<&str> for AgentQuery {
    fn from(query: &str) -> Self {
        Self::new(query)
    }
}

impl From<String> for AgentQuery {
    fn from(query: String) -> Self {
        Self::new(query)
    }
}

impl Sandbox {
    /// Asks the agent in the sandbox to do something and waits for its end. Only images for
    /// computer use have one; others answer 404.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sandbench::client::AgentQuery;
    ///
    /// let query = AgentQuery::new("open example.com").timeout(Duration::from_secs(300));
    /// let result = sandbox.agent(query).await?;
    /// assert_eq!(result.exit_code, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]. An exit code other than 0 is a result.
    ///
    /// # Cancel safety
    /// If dropped, the agent may have begun and then goes on.
    pub async fn agent(&self, query: impl Into<AgentQuery>) -> Result<ExecutionResult, CallError> {
        let AgentQuery { query, timeout } = query.into();
        let request = AgentRequest { query };
        let operation = Operation {
            verb: "ask the agent",
            subject: &request.query,
            sandbox: self.name(),
        };
        let answer = self
            .call(Call {
                operation,
                method: Method::POST,
                path: "/agent".into(),
                content_type: Some(HeaderValue::from_static("application/json")),
                body: RequestBody::json(&request),
                limit: ANSWER_LIMIT,
                timeout: timeout.unwrap_or_else(|| self.timeout()),
                repeat: Repeat::Harmful,
            })
            .await?;
        let response: ExecuteResponse = decode(&answer, operation)?;
        Ok(ExecutionResult {
            stdout: response.stdout,
            stderr: response.stderr,
            exit_code: response.exit_code,
            timed_out: response.timed_out,
        })
    }
}
