//! [`RetryPolicy`]: how often and when a failed request is sent again.
//!
//! Nothing is repeated silently: the default of a client is one attempt, every attempt is counted
//! and told to the [`AttemptObserver`](super::AttemptObserver), and the last error says how many
//! there were. Only what cannot do harm is repeated: reads, and what was surely not delivered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::attempt_cause::AttemptCause;
use super::attempts::{Attempt, AttemptCounts, AttemptObserver, AttemptScope, AttemptTarget};

/// How often and when a failed request is sent again.
///
/// The time of the call (its own, or the client's request timeout) covers all attempts and the
/// pauses between them; a pause that would not fit is not begun. What is repeated:
///
/// - reading a file, listing a directory, asking whether something exists: after a broken
///   connection and after the answers 429, 500, 502, 503 and 504;
/// - commands and writing: only if the request was surely not delivered;
/// - requests to the API server: after 429; all but creation also after 503; reading also after a
///   broken connection and after 500, 502 and 504.
///
/// ```
/// use std::time::Duration;
/// use sandbench::client::RetryPolicy;
///
/// let policy = RetryPolicy {
///     max_attempts: 6,
///     ..RetryPolicy::default()
/// };
/// assert_eq!(policy.initial_delay, Duration::from_millis(200));
/// assert_eq!(RetryPolicy::never().max_attempts, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    /// Largest number of attempts, the first one included; 0 counts as 1. Default: 4.
    pub max_attempts: u32,
    /// Longest first pause; each later one may be twice as long. Default: 200 ms. Pauses are
    /// random between nothing and that, from the client's seed.
    pub initial_delay: Duration,
    /// Longest pause, unless the server asks for a longer one with `Retry-After`. Default: 5 s.
    pub max_delay: Duration,
    /// Longest time of one attempt of a call on a sandbox that can be repeated. Default: the
    /// call's.
    pub attempt_timeout: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(5),
            attempt_timeout: None,
        }
    }
}

impl RetryPolicy {
    /// One attempt.
    pub const fn never() -> Self {
        Self {
            max_attempts: 1,
            initial_delay: Duration::ZERO,
            max_delay: Duration::ZERO,
            attempt_timeout: None,
        }
    }

    /// Longest pause after this attempt, counted from 1.
    fn longest_pause(&self, number: u32) -> Duration {
        let factor = 2_u32.saturating_pow(number.saturating_sub(1));
        self.initial_delay
            .saturating_mul(factor)
            .min(self.max_delay)
    }
}

/// An observer that can be shared and shown.
#[derive(Clone)]
pub(super) struct Observer(pub(super) Arc<dyn AttemptObserver>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Decides about repetitions for a whole client, and counts attempts.
#[derive(Debug)]
pub(super) struct Retrier {
    policy: RetryPolicy,
    observer: Option<Observer>,
    attempts: AtomicU64,
    repeated: AtomicU64,
    throttled: AtomicU64,
    random: Mutex<StdRng>,
}

impl Retrier {
    /// With this default, observer and seed; without a seed, pauses differ from run to run.
    pub(super) fn new(policy: RetryPolicy, observer: Option<Observer>, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| rand::rng().random());
        Self {
            policy,
            observer,
            attempts: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// That of the scope that is run in, or else the client's default.
    pub(super) fn policy(&self) -> RetryPolicy {
        AttemptScope::policy().unwrap_or(self.policy)
    }

    /// How many attempts there were.
    pub(super) fn counts(&self) -> AttemptCounts {
        AttemptCounts {
            attempts: self.attempts.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// Counts an attempt and tells the observers.
    pub(super) fn tell(&self, attempt: &Attempt<'_>) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if attempt.number > 1 {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
        let throttled = Some(AttemptCause::Status(429));
        if attempt.target == AttemptTarget::ApiServer && attempt.outcome.cause() == throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(Observer(observer)) = &self.observer {
            observer.attempt(attempt);
        }
        AttemptScope::tell(attempt);
    }

    /// The pause after a failed attempt, if there is to be another one before the deadline.
    pub(super) fn pause(
        &self,
        policy: RetryPolicy,
        number: u32,
        asked: Option<Duration>,
        deadline: Instant,
    ) -> Option<Duration> {
        if number >= policy.max_attempts {
            return None;
        }
        let share = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            random.random_range(0.0..1.0)
        };
        let own = policy.longest_pause(number).mul_f64(share);
        let pause = own.max(asked.unwrap_or_default());
        (pause < deadline.saturating_duration_since(Instant::now())).then_some(pause)
    }
}

/// The pause that a server asks for: seconds, or a date.
pub(super) fn retry_after(value: Option<&HeaderValue>) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let left = date.duration_since(Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retrier(seed: u64) -> Retrier {
        Retrier::new(RetryPolicy::default(), None, Some(seed))
    }

    fn pauses(retrier: &Retrier) -> Vec<Option<Duration>> {
        let policy = RetryPolicy::default();
        let deadline = Instant::now() + Duration::from_mins(1);
        (1..=4)
            .map(|number| retrier.pause(policy, number, None, deadline))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_follow_from_the_seed_and_end_with_the_attempts() {
        let found = pauses(&retrier(7));
        assert_eq!(found, pauses(&retrier(7)));
        assert_ne!(found, pauses(&retrier(8)));
        assert_eq!(found[3], None, "four attempts have three pauses");
        for (number, pause) in (1..).zip(&found[..3]) {
            let most = RetryPolicy::default().longest_pause(number);
            assert!(pause.expect("a pause") <= most, "{found:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_as_long_as_the_server_asks_unless_it_does_not_fit() {
        let retrier = retrier(1);
        let policy = RetryPolicy::default();
        let deadline = Instant::now() + Duration::from_mins(1);
        let asked = Some(Duration::from_secs(30));
        assert_eq!(retrier.pause(policy, 1, asked, deadline), asked);
        let soon = Instant::now() + Duration::from_secs(10);
        assert_eq!(retrier.pause(policy, 1, asked, soon), None);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_never_overflow() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.longest_pause(2), Duration::from_millis(400));
        assert_eq!(policy.longest_pause(u32::MAX), policy.max_delay);
    }

    #[test]
    fn a_wish_for_a_pause_is_read_as_seconds_or_as_a_date() {
        let read = |text: &str| retry_after(HeaderValue::from_str(text).ok().as_ref());
        assert_eq!(read("3"), Some(Duration::from_secs(3)));
        assert_eq!(
            read("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO),
            "long ago"
        );
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }
}
