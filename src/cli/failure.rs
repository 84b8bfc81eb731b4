//! A failure of the harness as people read it: what could not be done, why, and what to do.
//!
//! ```text
//! error: failed to reach the cluster
//!   because connection refused
//!   = help: check that the API server runs
//! ```

use std::error::Error;
use std::fmt;

use super::exit_code::Exit;
use crate::loopback::Leftovers;

/// What could not be done, its causes, a way out and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    action: String,
    causes: Vec<String>,
    help: Option<String>,
}

impl Failure {
    fn new(exit: Exit, action: impl Into<String>) -> Self {
        Self {
            exit,
            action: action.into(),
            causes: Vec::new(),
            help: None,
        }
    }

    /// The cluster, or the machine, is not set up for it.
    pub(super) fn setup(action: impl Into<String>) -> Self {
        Self::new(Exit::Setup, action)
    }

    /// The command line is wrong.
    pub(super) fn usage(action: impl Into<String>) -> Self {
        Self::new(Exit::Usage, action)
    }

    /// A signal came before the run had begun.
    pub(super) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "begin the run: it was interrupted")
    }

    /// A file is not valid.
    pub(super) fn invalid(action: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, action)
    }

    /// A fault of ours.
    pub(super) fn internal(action: impl Into<String>) -> Self {
        Self::new(Exit::Internal, action)
    }

    /// Adds an error and everything that it says caused it.
    pub(super) fn because(mut self, error: impl Error) -> Self {
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their source in their own text.
            if self.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.causes.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Adds what to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do, where somebody knows it.
    pub(super) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: failed to {}", self.action)?;
        for cause in &self.causes {
            write!(f, "\n  because {cause}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

/// One line on what a loopback cluster could not remove.
pub(super) fn left_behind(leftovers: &Leftovers) -> String {
    format!("warning: the loopback cluster left something behind: {leftovers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Refused;

    #[derive(Debug, thiserror::Error)]
    #[error("ask for the version")]
    struct Outer(#[source] Refused);

    #[test]
    fn a_failure_tells_what_why_and_the_way_out() {
        let failure = Failure::setup("reach the cluster")
            .because(Outer(Refused))
            .help("start the cluster");
        assert_eq!(
            failure.to_string(),
            "error: failed to reach the cluster\n  because ask for the version\n  because connection refused\n  = help: start the cluster"
        );
        assert_eq!(failure.exit, Exit::Setup);
    }
}
