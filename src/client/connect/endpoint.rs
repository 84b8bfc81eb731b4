//! [`Endpoint`]: where the requests of one handle go, and with which headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HeaderName, HeaderValue};

use super::headers::ExtraHeaders;
use crate::client::data::{Channel, Pool, Sharing};
use crate::client::error::ConnectError;

/// Whether requests tell a router where to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) enum Routing {
    /// They do, with these headers.
    Router(Vec<(HeaderName, HeaderValue)>),
    /// They go straight to the sandbox.
    Straight,
}

/// Where the requests of one handle go. Dropping it ends the connections that only it uses.
#[derive(Debug)]
pub(in crate::client) struct Endpoint {
    pool: Arc<Pool>,
    sharing: Sharing,
    host: HeaderValue,
    /// The same as a text that spans share.
    address: Arc<str>,
    prefix: String,
    routing: Routing,
    headers: ExtraHeaders,
    /// To sandboxd's processes, if that is the runtime.
    channel: Option<Channel>,
    closed: AtomicBool,
}

impl Endpoint {
    /// Requests go to `pool` for `host`, with `prefix` before their path.
    pub(in crate::client) fn new(
        pool: Arc<Pool>,
        sharing: Sharing,
        host: &str,
        prefix: String,
        routing: Routing,
    ) -> Result<Self, ConnectError> {
        let address = Arc::from(host);
        let host = HeaderValue::from_str(host).map_err(|_| ConnectError::Setting {
            setting: "host",
            value: host.to_owned(),
            problem: "it cannot be a header".to_owned(),
        })?;
        Ok(Self {
            pool,
            sharing,
            host,
            address,
            prefix,
            routing,
            headers: ExtraHeaders::default(),
            channel: None,
            closed: AtomicBool::new(false),
        })
    }

    /// The same, with these headers on every request.
    pub(super) fn with_headers(mut self, headers: ExtraHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// The same, to sandboxd, whose processes this leads to.
    pub(super) fn with_channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// The way to sandboxd's processes, if that is the runtime.
    pub(in crate::client) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Makes sure that there are open connections, and keeps them for the next calls.
    pub(in crate::client) async fn prove(&self) -> Result<(), ConnectError> {
        self.pool.prove().await?;
        match &self.channel {
            Some(channel) => channel.prove().await,
            None => Ok(()),
        }
    }

    /// Headers of every request, besides the client's own.
    pub(in crate::client) fn headers(&self) -> &ExtraHeaders {
        &self.headers
    }

    /// The target's connections.
    pub(in crate::client) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The same, to be kept.
    pub(in crate::client) fn shared_pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Value of the header `Host`.
    pub(in crate::client) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// What spans say of where requests go.
    pub(in crate::client) fn address(&self) -> Arc<str> {
        Arc::clone(&self.address)
    }

    /// What stands before every path.
    pub(in crate::client) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether and how a router is told where to go.
    pub(in crate::client) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Ends it. Connections that other handles or later ones may use stay open.
    pub(in crate::client) async fn disconnect(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(channel) = &self.channel {
            channel.close().await;
        }
        // One count is this endpoint's own.
        if self.sharing == Sharing::Private && Arc::strong_count(&self.pool) == 1 {
            self.pool.close().await;
        }
    }
}
