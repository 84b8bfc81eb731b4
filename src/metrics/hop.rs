//! [`HopKind`]: the parts of a request and of a creation that spans of router and controller tell apart; [`Hop`]:
//! what one took.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a request or of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HopKind {
    /// Of a request: in the router and behind it.
    Router,
    /// Of a request: the rest.
    Network,
    /// Of a creation: until the controller's first look.
    CreateQueue,
    /// Of a creation: the claim controller's work.
    ClaimController,
    /// Of a creation: the sandbox controller's work.
    SandboxController,
    /// Of a creation: the rest.
    CreateRest,
}

impl HopKind {
    /// Every hop with its name in the report and in `traces`, in the order of the report.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("router", Self::Router),
        ("network", Self::Network),
        ("create-queue", Self::CreateQueue),
        ("claim-controller", Self::ClaimController),
        ("sandbox-controller", Self::SandboxController),
        ("create-rest", Self::CreateRest),
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, hop)| *hop == self);
        found.map_or("", |(word, _)| word)
    }

    /// What it is.
    pub fn description(self) -> &'static str {
        match self {
            Self::Router => "in the router and behind it: the sandbox's work is in it",
            Self::Network => "the rest of a request: connecting, the way to the router and back",
            Self::CreateQueue => {
                "from sending the claim to the controller's first look (by the clocks of both)"
            }
            Self::ClaimController => "the claim controller's work, all its looks together",
            Self::SandboxController => "the sandbox controller's work, all its looks together",
            Self::CreateRest => "the rest of a creation: API server, queues, the pod's start",
        }
    }
}

impl fmt::Display for HopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What one hop took, in traces in which it was seen. Durations are differences of durations, never of clocks
/// of different machines, in whole nanoseconds; the one that is not says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// One of [`HopKind::WORDS`].
    pub name: String,
    /// What it is.
    pub description: String,
    /// How often it was seen.
    pub n: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}
