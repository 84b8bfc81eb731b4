//! The API server's clock. It decides when a claim ends, so the client tells such times in it.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};

use super::core::Client;
use super::error::KubeError;

/// Differences below this are those of whole seconds and of the network.
const SAME: SignedDuration = SignedDuration::from_secs(2);

/// How far the API server's clock is ahead of this machine's, once that is known.
#[derive(Debug, Default)]
pub(super) struct ServerClock(OnceLock<SignedDuration>);

impl Client {
    /// Asks how far the API server's clock is ahead of this machine's (behind it, if negative), and
    /// tells [times to live](super::CreateRequest::time_to_live) in its time from then on. Differences
    /// below two seconds count as none, as does a server that does not tell its time. Asked once: the
    /// first answer stays.
    ///
    /// # Errors
    /// [`KubeError`]: the API server does not answer.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn read_server_clock(&self) -> Result<SignedDuration, KubeError> {
        let clock = &self.0.clock.0;
        if let Some(ahead) = clock.get() {
            return Ok(*ahead);
        }
        let told = self.api().clock().await?;
        let ahead = told.map_or(SignedDuration::ZERO, |server| {
            ahead(server, Timestamp::now())
        });
        Ok(*clock.get_or_init(|| ahead))
    }

    /// The time on the API server, as far as it is known.
    pub(super) fn server_now(&self) -> Timestamp {
        let ahead = self.0.clock.0.get().copied().unwrap_or_default();
        let now = Timestamp::now();
        now.checked_add(ahead).unwrap_or(now)
    }
}

fn ahead(server: Timestamp, here: Timestamp) -> SignedDuration {
    let ahead = server.duration_since(here);
    if ahead.abs() <= SAME {
        SignedDuration::ZERO
    } else {
        ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_whole_seconds_explain_is_none() {
        let here: Timestamp = "2026-01-01T00:00:01.900Z".parse().expect("a time");
        let server: Timestamp = "2026-01-01T00:00:01Z".parse().expect("a time");
        assert_eq!(ahead(server, here), SignedDuration::ZERO);
        let server: Timestamp = "2026-01-01T00:10:01Z".parse().expect("a time");
        assert_eq!(ahead(server, here), SignedDuration::from_millis(599_100));
    }
}
