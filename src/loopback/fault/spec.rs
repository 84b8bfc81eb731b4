//! A [`Fault`] as people write it: `PLACE=EFFECT[@SHARE][*TIMES]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::place::Server;
use crate::units::{HumanDuration, Ratio};

/// Something that goes wrong in a loopback cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) server: Server,
    /// What requests ask for; `*` fits everything, as do filters that are not there.
    pub(super) filters: Vec<String>,
    pub(super) effect: Effect,
    /// Of the requests that fit. Default: all.
    pub(super) share: Ratio,
    /// How often at most. Default: without end.
    pub(super) times: Option<u64>,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// `429(1s)`: refused with this status, and with `Retry-After` if a duration stands there.
    Status(u16, Option<Duration>),
    /// `delay(1s)`: served later.
    Delay(Duration),
    /// `reset`: the connection closes, nothing is done.
    Reset,
    /// `lost`: the request is carried out, and the connection closes without an answer.
    Lost,
    /// `stall`: the head of the answer comes, the body never does.
    Stall,
    /// `truncated`: the body breaks off in the middle.
    Truncated,
    /// `garbage`: the status is 200 and the body is not JSON.
    Garbage,
    /// `drop(3)`: the stream breaks off after so many events.
    Drop(u64),
    /// `half-open(3)`: after so many events nothing comes any more, and nothing is closed.
    HalfOpen(u64),
    /// `stale(1s)`: every event comes later.
    Stale(Duration),
    /// `split`: events come in pieces of 97 bytes.
    Split,
    /// `reason(AdoptionConflict)`: a claim is not served for this reason; only of `controller`.
    Reason(String),
    /// `gone`: the watch answers that the resource version is too old.
    Gone,
}

/// Why a text is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the fault `{text}`: {problem}")]
pub struct ParseFaultError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Fault {
    pub(super) fn fits(&self, server: Server, words: &[String]) -> bool {
        self.server == server
            && self
                .filters
                .iter()
                .zip(words)
                .all(|(filter, word)| filter == "*" || filter == word)
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        read(text).map_err(|problem| ParseFaultError {
            text: text.to_owned(),
            problem,
        })
    }
}

fn read(text: &str) -> Result<Fault, String> {
    let (place, rest) = text
        .split_once('=')
        .ok_or("it is written `PLACE=EFFECT[@SHARE][*TIMES]`")?;
    let (rest, times) = match rest.rsplit_once('*') {
        None => (rest, None),
        Some((rest, times)) => {
            let count = times.parse().ok().filter(|count| *count > 0);
            let count = count.ok_or_else(|| format!("`{times}` is not a number of times"))?;
            (rest, Some(count))
        }
    };
    let (effect, share) = match rest.rsplit_once('@') {
        None => (rest, Ratio::of(1, 1)),
        Some((effect, share)) => {
            let ratio = share.parse::<Ratio>();
            (effect, ratio.map_err(|error| error.to_string())?)
        }
    };
    let mut words = place.trim().split('.');
    let name = words.next().unwrap_or_default();
    let server = Server::ALL
        .into_iter()
        .find(|server| server.word() == name)
        .ok_or_else(|| {
            format!("`{name}` is no place; there are `api`, `router`, `runtime` and `controller`")
        })?;
    let filters: Vec<String> = words.map(str::to_owned).collect();
    if filters.len() > server.filters() || filters.iter().any(String::is_empty) {
        return Err(format!(
            "`{name}` takes up to {} filters: `api.VERB.RESOURCE`, `router.PATH`, `runtime.PATH`, \
             `controller.claim`",
            server.filters()
        ));
    }
    let effect = read_effect(effect.trim())?;
    if matches!(effect, Effect::Reason(_)) != (server == Server::Controller) {
        return Err("`reason(…)` is the effect of `controller.claim`, and the only one".to_owned());
    }
    Ok(Fault {
        server,
        filters,
        effect,
        share,
        times,
    })
}

fn read_effect(text: &str) -> Result<Effect, String> {
    let (word, value) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((word, value)) => (word, Some(value)),
        None => (text, None),
    };
    let duration = || {
        let value = value.ok_or_else(|| format!("`{word}` needs a duration: `{word}(1s)`"))?;
        let parsed = value.parse::<HumanDuration>();
        parsed
            .map(|duration| duration.0)
            .map_err(|error| error.to_string())
    };
    let count = || {
        let count = value.and_then(|value| value.parse().ok());
        count.ok_or_else(|| format!("`{word}` needs a number of events: `{word}(3)`"))
    };
    Ok(match (word, value) {
        ("reason", Some(reason)) if is_reason(reason) => Effect::Reason(reason.to_owned()),
        ("delay", _) => Effect::Delay(duration()?),
        ("stale", _) => Effect::Stale(duration()?),
        ("drop", _) => Effect::Drop(count()?),
        ("half-open", _) => Effect::HalfOpen(count()?),
        ("reset", None) => Effect::Reset,
        ("lost", None) => Effect::Lost,
        ("stall", None) => Effect::Stall,
        ("truncated", None) => Effect::Truncated,
        ("garbage", None) => Effect::Garbage,
        ("split", None) => Effect::Split,
        ("gone", None) => Effect::Gone,
        _ => {
            let code = word.parse().ok().filter(|code| (400..600).contains(code));
            let code = code.ok_or_else(|| {
                format!(
                    "`{text}` is no effect; there are a status of 400 to 599, `delay(D)`, `reset`, \
                     `lost`, `stall`, `truncated`, `garbage`, `drop(N)`, `half-open(N)`, \
                     `stale(D)`, `split`, `gone` and `reason(REASON)`"
                )
            })?;
            Effect::Status(code, value.map(|_| duration()).transpose()?)
        }
    })
}

/// Whether this can be the reason of a condition.
fn is_reason(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code, None) => write!(f, "{code}"),
            Self::Status(code, Some(wait)) => write!(f, "{code}({})", HumanDuration(*wait)),
            Self::Delay(wait) => write!(f, "delay({})", HumanDuration(*wait)),
            Self::Reset => f.write_str("reset"),
            Self::Lost => f.write_str("lost"),
            Self::Stall => f.write_str("stall"),
            Self::Truncated => f.write_str("truncated"),
            Self::Garbage => f.write_str("garbage"),
            Self::Drop(count) => write!(f, "drop({count})"),
            Self::HalfOpen(count) => write!(f, "half-open({count})"),
            Self::Stale(wait) => write!(f, "stale({})", HumanDuration(*wait)),
            Self::Split => f.write_str("split"),
            Self::Reason(reason) => write!(f, "reason({reason})"),
            Self::Gone => f.write_str("gone"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.server.word())?;
        for filter in &self.filters {
            write!(f, ".{filter}")?;
        }
        write!(f, "={}", self.effect)?;
        if self.share != Ratio::of(1, 1) {
            write!(f, "@{}", self.share)?;
        }
        if let Some(times) = self.times {
            write!(f, "*{times}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "api=500",
            "api.create.sandboxclaims=429(1s)*3",
            "api.watch=drop(2)",
            "api.watch.sandboxclaims=half-open(0)",
            "api.*.pods=delay(250ms)@5%",
            "api.create=lost*1",
            "router=502",
            "router.execute=504@50%*2",
            "runtime.download=truncated",
            "runtime=stall",
            "runtime.execute=garbage",
            "api.watch=stale(1s)",
            "api.watch=split",
            "api.watch=gone*1",
            "router=reset",
            "controller.claim=reason(AdoptionConflict)*2",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for (text, part) in [
            ("api", "it is written"),
            ("moon=500", "`moon` is no place"),
            ("api.a.b.c=500", "takes up to 2 filters"),
            ("router..=500", "takes up to 1 filters"),
            ("api=200", "is no effect"),
            ("api=reason(Full)", "the effect of `controller.claim`"),
            ("controller=500", "the effect of `controller.claim`"),
            ("controller.claim=reason(full)", "is no effect"),
            ("api=explode", "is no effect"),
            ("api=delay", "needs a duration"),
            ("api=drop", "needs a number of events"),
            ("api=500*0", "is not a number of times"),
            ("api=500@2", "2"),
            ("api=delay(5)", "unit"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
