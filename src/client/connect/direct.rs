//! `direct`: to a URL, taken to be a router.

use crate::api;

/// Settings of the mode `direct`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Direct {
    /// `http://` or `https://` URL, with an optional path that is put before every request's.
    /// Required.
    pub url: String,
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
}

impl Default for Direct {
    fn default() -> Self {
        Self {
            url: String::new(),
            server_port: api::RUNTIME_PORT,
        }
    }
}
