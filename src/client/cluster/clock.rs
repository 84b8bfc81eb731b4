//! What the API server's clock says.

use http::{Method, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kube::client::Body;
use tokio::time::timeout;

use super::Api;
use super::answer::transport;
use super::api::plain;
use crate::client::error::{KubeError, Operation, Verb};

impl Api {
    /// The time on the API server, in whole seconds, from the `Date` of an answer (RFC 9110 §6.6.1);
    /// `None` if it does not say. The answer may be a refusal.
    pub(in crate::client) async fn clock(&self) -> Result<Option<Timestamp>, KubeError> {
        let operation = Operation {
            verb: Verb::Get,
            resource: "/version".to_owned(),
            namespace: String::new(),
            name: String::new(),
        };
        let limit = self.time_left();
        let request = plain(Method::GET, "/version").map(Body::from);
        let answered = timeout(limit, async {
            let picked = self.requests().pick().await;
            let response = picked.client().send(request).await;
            response.map_err(|error| transport(error, &operation))
        });
        let response = self.within(limit, answered.await, &operation)?;
        let date = response.headers().get(header::DATE);
        Ok(date
            .and_then(|date| date.to_str().ok())
            .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()))
    }
}
