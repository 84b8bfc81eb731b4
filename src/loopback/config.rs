//! [`ClusterConfig`]: what a loopback cluster is made of, and the latencies it plays.
//!
//! A [`Delay`] is written as `200ms` (constant), `uniform(100ms,300ms)`, `normal(2s,200ms)`
//! (mean, standard deviation) or `lognormal(2.5s,0.4)` (median, sigma of the logarithm).
//! Samples come from a seeded generator, so that two clusters with one seed play the same delays.

use std::f64::consts::TAU;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::fault::Fault;
use super::served::ServedVersions;
use super::spans::SpanSink;
use super::token::RouterAuth;
use crate::api;
use crate::units::{HumanDuration, Rate, UnitError};

/// Everything about a loopback cluster that can be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterConfig {
    /// Namespaces that exist at the start, besides `default`, `kube-system` and
    /// `agent-sandbox-system`. Default: none.
    pub namespaces: Vec<String>,
    /// Latencies that are played. Default: none.
    pub delays: Delays,
    /// How many claims the controller serves in a second, at the most: beyond it they wait in line,
    /// first come, first served. Default: as many as this machine can.
    pub claim_capacity: Option<Rate>,
    /// In which versions the Agent Sandbox kinds are served. Default: `v1beta1`.
    pub served: ServedVersions,
    /// What goes wrong. Default: nothing.
    pub faults: Vec<Fault>,
    /// Whether the router asks for a token. Default: it does not.
    pub router_auth: RouterAuth,
    /// Seed of all random choices. Default: 0.
    pub seed: u64,
    /// TCP port of the API server. Default: 6443.
    pub api_port: u16,
    /// TCP port of the router. Default: 8080.
    pub router_port: u16,
    /// UDP port of the name server. Default: 5353.
    pub dns_port: u16,
    /// TCP port of the legacy runtime in each pod that opens 8888 or names no port. Default: 8888.
    pub runtime_port: u16,
    /// TCP port of sandboxd's REST API in each pod that runs it. Default: 8080.
    pub sandboxd_rest_port: u16,
    /// TCP port of sandboxd's gRPC API in each pod that runs it. Default: 9090.
    pub sandboxd_grpc_port: u16,
    /// Upstream's sandboxd, to be run in each pod of it in place of the built-in one; faults of the
    /// runtime are not played then. Default: none.
    pub sandboxd_program: Option<PathBuf>,
    /// Who takes the spans of router and controllers. Default: nobody.
    pub spans: SpanSink,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            delays: Delays::default(),
            claim_capacity: None,
            served: ServedVersions::default(),
            faults: Vec::new(),
            router_auth: RouterAuth::default(),
            seed: 0,
            api_port: 6443,
            router_port: api::ROUTER_PORT,
            dns_port: 5353,
            runtime_port: api::RUNTIME_PORT,
            sandboxd_rest_port: api::SANDBOXD_REST_PORT,
            sandboxd_grpc_port: api::SANDBOXD_GRPC_PORT,
            sandboxd_program: None,
            spans: SpanSink::default(),
        }
    }
}

/// The latencies that a cluster plays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delays {
    /// From the binding of a pod to a node until its runtime listens. Default: none.
    pub pod_start: Delay,
    /// Before a claim takes a Sandbox from its warm pool. Default: none.
    pub adoption: Delay,
}

/// A latency: none, constant or drawn from a distribution. Samples are never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Delay {
    /// No wait at all, not even a turn of the scheduler.
    #[default]
    None,
    /// Always the same.
    Constant(Duration),
    /// Evenly between two durations.
    Uniform {
        /// Shortest sample.
        low: Duration,
        /// Longest sample.
        high: Duration,
    },
    /// Gaussian, cut at zero.
    Normal {
        /// Mean.
        mean: Duration,
        /// Standard deviation.
        deviation: Duration,
    },
    /// Its logarithm is Gaussian: a long tail, as image pulls and cold starts have it.
    LogNormal {
        /// Median.
        median: Duration,
        /// Standard deviation of the natural logarithm, 0 to 10.
        sigma: f64,
    },
}

impl Delay {
    /// Draws one sample; at most one day.
    fn sample(self, rng: &mut StdRng) -> Duration {
        const DAY: f64 = 86_400.0;
        let seconds = match self {
            Self::None => return Duration::ZERO,
            Self::Constant(duration) => return duration,
            Self::Uniform { low, high } => {
                let width = high.saturating_sub(low).as_secs_f64();
                low.as_secs_f64() + width * rng.random::<f64>()
            }
            Self::Normal { mean, deviation } => {
                mean.as_secs_f64() + deviation.as_secs_f64() * standard_normal(rng)
            }
            Self::LogNormal { median, sigma } => {
                median.as_secs_f64() * (sigma * standard_normal(rng)).exp()
            }
        };
        Duration::from_secs_f64(seconds.clamp(0.0, DAY))
    }
}

/// Box–Muller transform: one sample of the standard normal distribution.
fn standard_normal(rng: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// Why a [`Delay`] could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDelayError {
    /// One of the durations is wrong.
    #[error("read the delay `{text}`")]
    Duration {
        /// What was written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: UnitError,
    },
    /// The shape is none of the known ones.
    #[error(
        "read the delay `{text}`: write `200ms`, `uniform(100ms,300ms)`, `normal(2s,200ms)` or `lognormal(2.5s,0.4)`"
    )]
    Shape {
        /// What was written.
        text: String,
    },
}

impl FromStr for Delay {
    type Err = ParseDelayError;

    fn from_str(text: &str) -> Result<Self, ParseDelayError> {
        let shape = || ParseDelayError::Shape {
            text: text.to_owned(),
        };
        let duration = |part: &str| {
            part.trim()
                .parse::<HumanDuration>()
                .map(Duration::from)
                .map_err(|source| ParseDelayError::Duration {
                    text: text.to_owned(),
                    source,
                })
        };
        let trimmed = text.trim();
        if trimmed == "none" {
            return Ok(Self::None);
        }
        let Some((word, rest)) = trimmed.split_once('(') else {
            let constant = duration(trimmed)?;
            return Ok(if constant.is_zero() {
                Self::None
            } else {
                Self::Constant(constant)
            });
        };
        let arguments = rest.strip_suffix(')').ok_or_else(shape)?;
        let (first, second) = arguments.split_once(',').ok_or_else(shape)?;
        match word.trim() {
            "uniform" => {
                let (low, high) = (duration(first)?, duration(second)?);
                (low <= high)
                    .then_some(Self::Uniform { low, high })
                    .ok_or_else(shape)
            }
            "normal" => Ok(Self::Normal {
                mean: duration(first)?,
                deviation: duration(second)?,
            }),
            "lognormal" => {
                let sigma: f64 = second.trim().parse().map_err(|_| shape())?;
                let median = duration(first)?;
                (0.0..=10.0)
                    .contains(&sigma)
                    .then_some(Self::LogNormal { median, sigma })
                    .ok_or_else(shape)
            }
            _ => Err(shape()),
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let human = |duration: &Duration| HumanDuration(*duration);
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(duration) => human(duration).fmt(f),
            Self::Uniform { low, high } => write!(f, "uniform({},{})", human(low), human(high)),
            Self::Normal { mean, deviation } => {
                write!(f, "normal({},{})", human(mean), human(deviation))
            }
            Self::LogNormal { median, sigma } => {
                write!(f, "lognormal({},{sigma})", human(median))
            }
        }
    }
}

/// A [`Delay`] with its own stream of randomness.
#[derive(Debug)]
pub(crate) struct DelaySource {
    delay: Delay,
    rng: Mutex<StdRng>,
}

impl DelaySource {
    /// `stream` separates sources of one seed from each other.
    pub(crate) fn new(delay: Delay, seed: u64, stream: u64) -> Self {
        let mixed = seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            delay,
            rng: Mutex::new(StdRng::seed_from_u64(mixed)),
        }
    }

    /// The next sample; zero means "do not wait".
    pub(crate) fn next(&self) -> Duration {
        match self.delay {
            Delay::None => Duration::ZERO,
            Delay::Constant(duration) => duration,
            drawn => drawn.sample(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_print_as_they_are_written() {
        for text in [
            "none",
            "200ms",
            "uniform(100ms,300ms)",
            "normal(2s,200ms)",
            "lognormal(2s500ms,0.4)",
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        assert_eq!("0s".parse::<Delay>().unwrap(), Delay::None);
        assert_eq!(
            " lognormal( 2.5s , 0.4 ) ".parse::<Delay>().unwrap(),
            Delay::LogNormal {
                median: Duration::from_millis(2500),
                sigma: 0.4
            }
        );
    }

    #[test]
    fn a_wrong_delay_says_what_may_be_written() {
        for text in [
            "",
            "5",
            "uniform(1s)",
            "uniform(2s,1s)",
            "lognormal(1s,x)",
            "lognormal(1s,-1)",
            "lognormal(1s,NaN)",
            "poisson(1s,2s)",
            "normal(1s,2s",
        ] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
        let error = "uniform(1s)".parse::<Delay>().unwrap_err().to_string();
        assert!(error.contains("`uniform(100ms,300ms)`"), "{error}");
    }

    #[test]
    fn one_seed_gives_one_sequence_and_samples_stay_in_range() {
        let delay: Delay = "uniform(100ms,300ms)".parse().unwrap();
        let draw = |seed, stream| {
            let source = DelaySource::new(delay, seed, stream);
            (0..50).map(|_| source.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        let range = Duration::from_millis(100)..=Duration::from_millis(300);
        assert!(draw(7, 1).iter().all(|sample| range.contains(sample)));
    }

    #[test]
    fn the_median_of_a_lognormal_delay_is_its_first_parameter() {
        let source = DelaySource::new("lognormal(2s,0.5)".parse().unwrap(), 1, 1);
        let mut samples: Vec<_> = (0..2001).map(|_| source.next().as_secs_f64()).collect();
        samples.sort_by(f64::total_cmp);
        assert!((samples[1000] - 2.0).abs() < 0.1, "{}", samples[1000]);
    }
}
