//! Values that steps pass on, and the expressions that combine and check them.
//!
//! `${{ … }}` is CEL, the language of Kubernetes admission rules, compiled when the file is read.
//! [`Bindings`] are the contexts that an expression sees; [`Matcher`]s check a step's outputs.

mod bindings;
mod cel;
mod matcher;
mod template;
mod value;

pub use bindings::{Bindings, ROOTS};
pub use cel::{CompileError, EvalError, Expression};
pub use matcher::{Matcher, Mismatch, OutputType};
pub use template::Template;
pub use value::Value;
