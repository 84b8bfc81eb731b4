//! [`CallOptions`]: what calls on one sandbox do differently from the client's defaults.

use super::connect::ExtraHeaders;
use super::retry::RetryPolicy;

/// What calls on a sandbox do differently; see [`Sandbox::with`](super::Sandbox::with).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallOptions {
    /// Headers of these calls. They replace those of the settings of the way, and are replaced by
    /// the client's routing headers. Default: none.
    pub headers: ExtraHeaders,
    /// How often these calls are attempted. Default: as the client was built.
    pub retry: Option<RetryPolicy>,
}
