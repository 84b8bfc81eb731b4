//! How the loopback cluster behaves: delays of the steps that take time on a real cluster.
//!
//! The default is no delay, so that what is measured is the path.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt;

use crate::units::HumanDuration;

/// Settings of a loopback cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterConfig {
    /// Delays of the control plane.
    pub delays: Delays,
}

/// Delays of the control plane; none by default.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// From the binding of a pod to the start of its runtime.
    pub pod_start: Delay,
    /// From seeing a claim to adopting a warm sandbox for it.
    pub adoption: Delay,
}

/// A delay: constant, or drawn anew each time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Delay {
    /// None.
    #[default]
    None,
    /// Always the same.
    Constant(Duration),
    /// Evenly between two bounds.
    Uniform(Duration, Duration),
    /// Log-normal: median and the standard deviation of the logarithm.
    LogNormal(Duration, f64),
}

/// Text that is not a delay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a delay; write `200ms`, `uniform(100ms,300ms)` or `lognormal(2.5s,0.4)`")]
pub struct DelayError(String);

impl Delay {
    /// Draws one.
    pub(super) fn draw(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Constant(delay) => delay,
            Self::Uniform(low, high) => {
                low + (high.saturating_sub(low)).mul_f64(rand::rng().random::<f64>())
            }
            Self::LogNormal(median, sigma) => {
                // Box-Muller: two even draws give one normal one.
                let mut rng = rand::rng();
                let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
                let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                let factor = (sigma * normal).exp().clamp(0.0, 1000.0);
                median.mul_f64(factor)
            }
        }
    }

    /// Waits for one draw.
    pub(super) async fn wait(self) {
        let delay = self.draw();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

impl FromStr for Delay {
    type Err = DelayError;

    fn from_str(text: &str) -> Result<Self, DelayError> {
        let refuse = || DelayError(text.to_owned());
        let duration = |text: &str| {
            text.trim()
                .parse::<HumanDuration>()
                .map(|d| d.0)
                .map_err(|_| refuse())
        };
        let arguments = |name: &str| {
            let inner = text
                .trim()
                .strip_prefix(name)?
                .strip_prefix('(')?
                .strip_suffix(')')?;
            inner.split_once(',')
        };
        if let Some((low, high)) = arguments("uniform") {
            let (low, high) = (duration(low)?, duration(high)?);
            return if low <= high {
                Ok(Self::Uniform(low, high))
            } else {
                Err(refuse())
            };
        }
        if let Some((median, sigma)) = arguments("lognormal") {
            let sigma: f64 = sigma.trim().parse().map_err(|_| refuse())?;
            return if (0.0..=5.0).contains(&sigma) {
                Ok(Self::LogNormal(duration(median)?, sigma))
            } else {
                Err(refuse())
            };
        }
        duration(text).map(Self::Constant)
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0s"),
            Self::Constant(delay) => HumanDuration(*delay).fmt(f),
            Self::Uniform(low, high) => {
                write!(
                    f,
                    "uniform({},{})",
                    HumanDuration(*low),
                    HumanDuration(*high)
                )
            }
            Self::LogNormal(median, sigma) => {
                write!(f, "lognormal({},{sigma})", HumanDuration(*median))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_read_as_they_print() {
        for text in ["200ms", "uniform(100ms,300ms)", "lognormal(2s500ms,0.4)"] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "5",
            "uniform(3s,1s)",
            "lognormal(1s,-1)",
            "normal(1s,1s)",
            "uniform(1s",
        ] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
    }

    #[test]
    fn draws_stay_within_their_distribution() {
        let (low, high) = (Duration::from_millis(10), Duration::from_millis(20));
        for _ in 0..1000 {
            let drawn = Delay::Uniform(low, high).draw();
            assert!((low..=high).contains(&drawn));
        }
        let median = Duration::from_secs(1);
        let below = (0..2000)
            .filter(|_| Delay::LogNormal(median, 0.5).draw() < median)
            .count();
        assert!(
            (700..1300).contains(&below),
            "{below} of 2000 draws below the median"
        );
    }
}
