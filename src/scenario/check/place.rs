//! [`Place`]: where in the file an expression stands, and which names have a value there.

use crate::expr::ROOTS;

/// Where in the file a text stands: that decides which names have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Vars,
    Target,
    Load,
    Step,
    /// A step before or after all iterations.
    Fixture,
}

impl Place {
    pub(super) fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Vars => &["vars", "env", "run"],
            Self::Target | Self::Load => &["vars", "env", "run", "matrix", "scenario"],
            Self::Fixture => &[
                "vars", "env", "matrix", "run", "scenario", "sandbox", "steps", "each",
            ],
            Self::Step => ROOTS,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vars => "`vars`",
            Self::Target => "`target`",
            Self::Load => "`load`",
            Self::Step => "a step",
            Self::Fixture => "`setup` and `teardown`, which run once",
        }
    }
}
