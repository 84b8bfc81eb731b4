//! Where a piece of text came from, and what is wrong with it.
//!
//! A [`SourceFile`] is read once; [`yaml`] makes a tree of it in which every node knows its place;
//! what is wrong is collected as [`Diagnostic`]s in [`Problems`] and drawn by [`render`].

mod diagnostic;
mod fields;
mod file;
mod render;
mod span;
mod suggest;
pub mod yaml;

pub use diagnostic::{Diagnostic, Problems};
pub use fields::Fields;
pub use file::{SourceError, SourceFile};
pub use render::{Colour, render, render_failure};
pub use span::{Location, Span, Spanned};
pub use suggest::suggest;
