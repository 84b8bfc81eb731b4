//! What `expect` says about one output: [`Matcher`].
//!
//! `judge` holds the checks and applies them at run time, `decode` reads them from YAML against
//! the declared kind of the output, `pattern` compiles regular expressions.

mod decode;
mod judge;
mod pattern;

pub use judge::{Matcher, Mismatch};
