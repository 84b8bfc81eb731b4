//! Values that steps pass on, and the places of a scenario that compute with them.
//!
//! [`Template`] is text with `${{ … }}` in it, [`Expression`] is one CEL expression, [`Operand`] a
//! YAML value whose texts are templates, [`Matcher`] a check of one output. All are parsed and
//! checked when the file is loaded and evaluated once per iteration against [`Bindings`].

mod bindings;
mod cel;
mod compare;
mod error;
mod functions;
mod kind;
mod matcher;
mod operand;
mod references;
mod secrets;
mod template;
mod value;

pub use bindings::{Bindings, CONTEXTS, ROOTS};
pub use cel::{CompileError, Expression};
pub use error::EvalError;
pub use kind::{Output, ValueKind};
pub use matcher::{Matcher, Mismatch};
pub use operand::Operand;
pub use references::Reference;
pub use secrets::Secrets;
pub use template::Template;
pub use value::Value;

#[cfg(test)]
mod tests;
