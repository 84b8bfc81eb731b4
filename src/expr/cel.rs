//! [`Expression`]: one CEL expression, compiled when the file is read.
//!
//! CEL is the expression language of Kubernetes admission rules (<https://cel.dev>). A plain path
//! such as `vars.x` is looked up directly, without the interpreter.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::cel::common::ast::{Expr, IdedExpr};
use ::cel::common::value::{CowVal, Val};
use ::cel::context::VariableResolver;
use ::cel::parser::PrattParser;
use ::cel::{Context, ExecutionError};

use super::bindings::Bindings;
use super::error::EvalError;
use super::functions::{self, ENVIRONMENT};
use super::references::{self, Reference};
use super::value::Value;
use crate::source::yaml::{Node, Scalar};
use crate::source::{Code, Diagnostic, FromNode, Problems, Span, wrong_type};

/// The longest expression, in bytes.
const LONGEST: usize = 2_000;
/// The deepest nesting of brackets in an expression.
const DEEPEST: u16 = 16;
/// The deepest syntax tree: the interpreter takes about 20 KiB of stack per level without
/// optimisation, and a worker thread has 2 MiB.
const DEEPEST_TREE: usize = 40;
/// The most operators, dots and brackets of an expression: each may be one level of recursion in
/// the parser.
const MOST_OPERATORS: usize = 150;

/// A compiled expression and its place.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    span: Span,
    program: Program,
    references: Vec<Reference>,
}

#[derive(Debug, Clone)]
enum Program {
    /// A plain path, looked up directly.
    Path(Arc<[Arc<str>]>),
    Cel(Arc<IdedExpr>),
}

/// Why an expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, as a fragment.
    pub message: String,
    /// Which bytes of the expression.
    pub part: Range<usize>,
}

impl Expression {
    /// Compiles an expression that stands in no file.
    ///
    /// # Errors
    /// [`CompileError`]: it is not CEL, is longer than 2000 bytes or nested deeper than 32.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Self::compile_at(source, Span::default(), |part| {
            Span::new(part.start, part.end)
        })
    }

    /// Compiles an expression; `place` turns a part of it into a place in the file.
    pub(super) fn compile_at(
        source: &str,
        span: Span,
        place: impl Fn(Range<usize>) -> Span,
    ) -> Result<Self, CompileError> {
        if source.trim().is_empty() {
            return Err(CompileError {
                message: "the expression is empty".to_owned(),
                part: 0..source.len(),
            });
        }
        if source.len() > LONGEST {
            return Err(CompileError {
                message: format!("the expression is longer than {LONGEST} bytes"),
                part: 0..0,
            });
        }
        too_deep(source)?;
        let mut tree = PrattParser::new()
            .max_recursion_depth(DEEPEST)
            .max_expression_node_count(LONGEST)
            .parse(source)
            .map_err(|errors| compile_error(source, &errors))?;
        if references::depth(&tree) > DEEPEST_TREE {
            return Err(CompileError {
                message: format!("it is too complex (more than {DEEPEST_TREE} steps deep)"),
                part: 0..source.len(),
            });
        }
        let references = references::of(&tree, source)
            .into_iter()
            .map(|found| Reference {
                path: found.path,
                span: place(found.part),
            })
            .collect();
        let program = if let Some(path) = plain_path(&tree) {
            Program::Path(path.into())
        } else {
            functions::trim_numbers(&mut tree);
            Program::Cel(Arc::new(tree))
        };
        Ok(Self {
            source: source.trim().into(),
            span,
            program,
            references,
        })
    }

    /// Compiles the text of a scalar; what is wrong is reported at its exact place.
    pub fn from_scalar(scalar: &Scalar, problems: &mut Problems) -> Option<Self> {
        let place = |part| scalar.span_of(part);
        match Self::compile_at(&scalar.text, scalar.span, place) {
            Ok(expression) => Some(expression),
            Err(error) => {
                problems.push(error.diagnostic(scalar.span_of(error.part.clone())));
                None
            }
        }
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it is written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The names it uses.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The value for these bindings.
    ///
    /// # Errors
    /// [`EvalError`]: a name has no value, a function refuses its arguments, the result is of a
    /// type that a [`Value`] cannot hold.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        match &self.program {
            Program::Path(path) => match bindings.get(path) {
                Some(value) => Ok(value.clone()),
                None if path.len() == 1 => bindings.root(&path[0]).ok_or_else(|| self.none(path)),
                None => Err(self.none(path)),
            },
            Program::Cel(tree) => self.interpret(tree, bindings),
        }
    }

    fn none(&self, path: &[Arc<str>]) -> EvalError {
        EvalError::NoValue {
            expression: Arc::clone(&self.source),
            name: path.join("."),
            span: self.span,
        }
    }

    fn interpret(&self, tree: &IdedExpr, bindings: &Bindings) -> Result<Value, EvalError> {
        let resolver = Resolver(bindings);
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&resolver);
        let result = ::cel::Value::resolve(tree, &context).map_err(|error| self.failed(&error))?;
        from_cel(&result).ok_or_else(|| EvalError::Failed {
            expression: Arc::clone(&self.source),
            reason: format!("a result of type {} cannot be used", result.type_of()),
            span: self.span,
        })
    }

    fn failed(&self, error: &ExecutionError) -> EvalError {
        let expression = Arc::clone(&self.source);
        let span = self.span;
        match error {
            ExecutionError::NoSuchKey(name) | ExecutionError::UndeclaredReference(name) => {
                let mut used = self.references.iter();
                let written =
                    used.find(|used| used.path.last().is_some_and(|last| **last == **name));
                EvalError::NoValue {
                    expression,
                    name: name.to_string(),
                    span: written.map_or(span, |used| used.span),
                }
            }
            other => EvalError::Failed {
                expression,
                reason: other.to_string(),
                span,
            },
        }
    }
}

impl CompileError {
    /// The same as a diagnostic at a place.
    pub(super) fn diagnostic(&self, span: Span) -> Diagnostic {
        Diagnostic::error(
            Code::Expression,
            span,
            format!("the expression does not compile: {}", self.message),
        )
        .label("here")
        .help(
            "expressions are CEL: `vars.name`, `int(stdout) + 1`, `json(stdout).id`, `size(names)`",
        )
    }
}

fn compile_error(source: &str, errors: &::cel::ParseErrors) -> CompileError {
    // Errors about the parser's own limits have no place, the others one of line and column.
    let error = errors
        .errors
        .iter()
        .find(|error| error.pos.0 > 0)
        .or(errors.errors.first());
    let Some(error) = error else {
        return CompileError {
            message: "it is not CEL".to_owned(),
            part: 0..source.len(),
        };
    };
    let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(error.pos.1).unwrap_or(1).max(1);
    let line_start: usize = source
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let end = source.trim_end().len();
    let start = source[line_start..]
        .char_indices()
        .nth(column - 1)
        .map_or(end, |(at, _)| line_start + at);
    let found = &source[start..];
    let size = found
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(found.len(), |size| {
            size.max(found.chars().next().map_or(0, char::len_utf8))
        });
    let message = if found.trim().is_empty() {
        "it ends too early".to_owned()
    } else if error.msg.contains("input") || error.msg.contains("expected") {
        format!("`{}` is not expected here", &found[..size])
    } else {
        error.msg.lines().next().unwrap_or_default().to_owned()
    };
    CompileError {
        message,
        part: start..start + size,
    }
}

/// Refuses what would make the parser or the interpreter recurse too deep for a thread's stack.
/// Text in quotes counts too: where quotes end is for the parser to know.
fn too_deep(source: &str) -> Result<(), CompileError> {
    let mut depth = 0_u16;
    let mut operators = 0;
    for (at, c) in source.char_indices() {
        if matches!(c, '(' | '[' | '{') {
            depth = depth.saturating_add(1);
        } else if matches!(c, ')' | ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        if c.is_ascii_punctuation() && c != '_' {
            operators += 1;
        }
        if depth > DEEPEST || operators > MOST_OPERATORS {
            return Err(CompileError {
                message: format!(
                    "it is too complex (at most {DEEPEST} levels of brackets and {MOST_OPERATORS} operators)"
                ),
                part: at..at + c.len_utf8(),
            });
        }
    }
    Ok(())
}

fn plain_path(tree: &IdedExpr) -> Option<Vec<Arc<str>>> {
    match &tree.expr {
        Expr::Ident(name) => Some(vec![name.as_str().into()]),
        Expr::Select(select) if !select.test => {
            let mut path = plain_path(&select.operand)?;
            path.push(select.field.as_str().into());
            Some(path)
        }
        _ => None,
    }
}

/// Looks names up in the bindings when the interpreter asks for them.
struct Resolver<'b>(&'b Bindings);

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        // The interpreter asks for the longest name first: `steps.box.stdout`, `steps.box`, `steps`.
        let path: Vec<&str> = variable.split('.').collect();
        let value = match self.0.get(&path) {
            Some(value) => to_cel(value),
            None if path.len() == 1 => to_cel(&self.0.root(variable)?),
            None => return None,
        };
        let value: Box<dyn Val> = value.try_into().ok()?;
        Some(CowVal::Owned(value))
    }
}

/// A value as the interpreter has it.
pub(super) fn to_cel(value: &Value) -> ::cel::Value {
    match value {
        Value::Null => ::cel::Value::Null,
        Value::Bool(value) => ::cel::Value::Bool(*value),
        Value::Int(value) => ::cel::Value::Int(*value),
        Value::Float(value) => ::cel::Value::Float(*value),
        Value::Text(text) => ::cel::Value::from(&**text),
        Value::Bytes(bytes) => ::cel::Value::from(bytes.to_vec()),
        Value::List(items) => ::cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => {
            let map: std::collections::HashMap<::cel::objects::Key, ::cel::Value> = map
                .iter()
                .map(|(key, value)| (key.as_str().into(), to_cel(value)))
                .collect();
            ::cel::Value::Map(::cel::objects::Map { map: Arc::new(map) })
        }
        Value::Duration(duration) => ::cel::Value::Duration(
            chrono::Duration::from_std(*duration).unwrap_or(chrono::Duration::MAX),
        ),
    }
}

/// A value of the interpreter as ours; `None` for what has no counterpart.
fn from_cel(value: &::cel::Value) -> Option<Value> {
    Some(match value {
        ::cel::Value::Null => Value::Null,
        ::cel::Value::Bool(value) => Value::Bool(*value),
        ::cel::Value::Int(value) => Value::Int(*value),
        ::cel::Value::UInt(value) => Value::Int(i64::try_from(*value).ok()?),
        ::cel::Value::Float(value) => Value::Float(*value),
        ::cel::Value::String(text) => Value::text(text.as_str()),
        ::cel::Value::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
        ::cel::Value::Duration(duration) => {
            Value::Duration(duration.to_std().unwrap_or(Duration::ZERO))
        }
        ::cel::Value::Timestamp(time) => Value::text(time.to_rfc3339()),
        ::cel::Value::List(items) => {
            Value::List(items.iter().map(from_cel).collect::<Option<_>>()?)
        }
        ::cel::Value::Map(map) => Value::Map(
            map.map
                .iter()
                .map(|(key, value)| Some((key.to_string(), from_cel(value)?)))
                .collect::<Option<_>>()?,
        ),
        ::cel::Value::Function(..) | ::cel::Value::Opaque(_) | ::cel::Value::Struct(_) => {
            return None;
        }
    })
}

/// The text of a scalar as an expression: `int(stdout)`; a number or boolean is one too.
impl FromNode for Expression {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(scalar) = node.as_scalar().filter(|scalar| !scalar.is_null()) else {
            wrong_type(node, "an expression", problems);
            return None;
        };
        Self::from_scalar(scalar, problems)
    }
}
