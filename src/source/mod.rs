//! Where a piece of text came from, what is wrong with it, and how that is shown.
//!
//! A [`SourceFile`] is text with a path. [`yaml::parse`] turns it into a tree whose nodes know
//! their place ([`Span`]); decoders read the tree through [`Fields`] and [`FromNode`] and report
//! every problem into one [`Problems`] list, never stopping at the first. [`render`] draws a
//! [`Diagnostic`] with its line of source and a caret under the place.

mod decode;
mod diagnostic;
mod file;
mod others;
mod read;
mod render;
mod shape;
mod span;
mod suggest;
pub mod yaml;

pub use decode::Fields;
pub use diagnostic::{Code, Diagnostic, Problems, Severity};
pub use file::{SIZE_LIMIT, SourceError, SourceFile};
pub use others::{Other, OtherText};
pub use read::{FromNode, Keyword, keyword, quantity, read_map, wrong_type};
pub use render::{Colour, render, render_all, snippet};
pub use shape::{Field, Shape, Takes, words};
pub use span::{Location, Span, Spanned};
pub use suggest::{did_you_mean, list_of, suggest};
