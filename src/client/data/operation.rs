//! [`Operation`]: what a call does, in words, and the id that its attempts share.

use std::fmt;

use http::HeaderValue;
use rand::RngExt;

use crate::api::runtime::FileType;
use crate::client::error::CallError;
use crate::client::runtime::Runtime;

/// What a call does, in words; made into text only for errors.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Operation<'a> {
    /// For example `run`.
    pub(in crate::client) verb: &'static str,
    /// For example the command.
    pub(in crate::client) subject: &'a str,
    /// Name of the sandbox.
    pub(in crate::client) sandbox: &'a str,
}

impl Operation<'_> {
    /// The file or directory that it is about, if it is about one. A command is never told.
    pub(in crate::client) fn file(&self) -> Option<&str> {
        matches!(self.verb, "write" | "read" | "list" | "look for" | "delete")
            .then_some(self.subject)
    }

    /// The error of a path that leads to something else.
    pub(in crate::client) fn not_a(self, expected: FileType) -> CallError {
        CallError::WrongKind {
            operation: self.to_string(),
            expected,
        }
    }

    /// The error of what the runtime cannot do.
    pub(in crate::client) fn unsupported(
        self,
        runtime: Runtime,
        problem: &'static str,
    ) -> CallError {
        CallError::Unsupported {
            operation: self.to_string(),
            runtime: match runtime {
                Runtime::Legacy => "legacy",
                Runtime::Sandboxd(_) => "sandboxd",
            },
            problem,
        }
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        let Self {
            verb,
            subject,
            sandbox,
        } = self;
        write!(f, "{verb} `")?;
        for c in subject.chars().take(SHOWN) {
            write!(f, "{}", if c.is_control() { ' ' } else { c })?;
        }
        if subject.chars().nth(SHOWN).is_some() {
            f.write_str("…")?;
        }
        write!(f, "` in sandbox `{sandbox}`")
    }
}

/// Sixteen hexadecimal digits. Source: the Go SDK.
pub(in crate::client) fn request_id() -> HeaderValue {
    let number = rand::rng().random::<u64>();
    let digit = |place: usize| b"0123456789abcdef"[((number >> (60 - 4 * place)) & 0xf) as usize];
    let digits: [u8; 16] = std::array::from_fn(digit);
    HeaderValue::from_bytes(&digits).expect("hexadecimal digits are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_shortened_to_one_line() {
        let subject = "a\nb".repeat(60);
        let text = Operation {
            verb: "run",
            subject: &subject,
            sandbox: "s",
        }
        .to_string();
        assert!(text.len() < 100 && !text.contains('\n'), "{text}");
    }
}
