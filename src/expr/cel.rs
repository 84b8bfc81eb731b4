//! [`Expression`]: CEL, compiled at load, evaluated per iteration.
//!
//! A plain path (`vars.greeting`) is looked up without CEL. Besides CEL's own functions and its
//! string extension there is `json(text)`; `int(text)` ignores white space around the number, since
//! what a command prints ends with a newline.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, IdedExpr, Program};

use super::bindings::Bindings;
use super::value::Value;

/// The longest expression; longer ones are programs, which do not belong into a scenario.
const LENGTH_LIMIT: usize = 2_000;
/// How deep brackets may nest.
const NESTING_LIMIT: usize = 32;

/// An expression that is not CEL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// At which byte of the expression.
    pub offset: usize,
}

/// An expression that has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("evaluate `{expression}`: {reason}")]
pub struct EvalError {
    /// The expression.
    pub expression: String,
    /// Why it has no value.
    pub reason: String,
}

/// A compiled expression. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<Program>,
    references: Arc<[Vec<String>]>,
    path: Option<Arc<[String]>>,
}

impl Expression {
    /// Compiles CEL.
    ///
    /// # Errors
    /// When it is not CEL, longer than 2,000 bytes or nested deeper than 32 brackets.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let refuse = |message: String| Err(CompileError { message, offset: 0 });
        if source.trim().is_empty() {
            return refuse("the expression is empty".to_owned());
        }
        if source.len() > LENGTH_LIMIT {
            return refuse(format!(
                "the expression is longer than {LENGTH_LIMIT} bytes"
            ));
        }
        let opened = source
            .bytes()
            .filter(|byte| b"([{!-?".contains(byte))
            .count();
        if opened > NESTING_LIMIT {
            return refuse(format!(
                "the expression nests deeper than {NESTING_LIMIT} brackets"
            ));
        }
        let program = environment()
            .compile(&lenient_int(source))
            .map_err(|errors| {
                let first = errors.errors.first();
                let column = first.map_or(1, |error| error.pos.1).max(1);
                let message = first.map_or_else(|| errors.to_string(), |error| error.msg.clone());
                let message = message
                    .lines()
                    .next()
                    .unwrap_or("not an expression")
                    .to_owned();
                let offset = usize::try_from(column - 1).unwrap_or(0).min(source.len());
                CompileError { message, offset }
            })?;
        let mut references = Vec::new();
        collect(program.expression(), &mut references);
        let path = path_of(program.expression()).map(Into::into);
        Ok(Self {
            source: source.trim().into(),
            program: Arc::new(program),
            references: references.into(),
            path,
        })
    }

    /// The text of the expression.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every path that the expression reads, such as `["vars", "greeting"]`.
    pub fn references(&self) -> &[Vec<String>] {
        &self.references
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// When something that it reads is not bound, or a type does not fit.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        let fail = |reason: String| EvalError {
            expression: self.source.to_string(),
            reason,
        };
        if let Some(path) = &self.path {
            return bindings
                .get(path)
                .cloned()
                .ok_or_else(|| fail(format!("`{}` has no value here", path.join("."))));
        }
        let mut context = Context::with_env(Arc::clone(environment()));
        add_functions(&mut context).map_err(|error| fail(error.to_string()))?;
        for path in self.references.iter() {
            let Some(name) = path.first() else { continue };
            if let Some(local) = bindings.local(name) {
                context.add_variable_from_value(name.as_str(), to_cel(local));
            } else if let Some(root) = bindings.root(name) {
                let map = Value::Map(Arc::clone(root));
                context.add_variable_from_value(name.as_str(), to_cel(&map));
            }
        }
        let value = self
            .program
            .execute(&context)
            .map_err(|error| fail(error.to_string()))?;
        from_cel(&value).map_err(fail)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.source)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = Env::stdlib();
        env.add_extension(cel::extensions::strings)
            .expect("a fresh environment has no conflicts");
        Arc::new(env)
    })
}

fn add_functions(context: &mut Context<'_, '_>) -> Result<(), cel::DeclarationError> {
    let parse = |text: Arc<String>| -> Result<cel::Value, ExecutionError> {
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| ExecutionError::function_error("json", error))?;
        Ok(to_cel(&Value::from(json)))
    };
    context.add_function("json", parse)?;
    context.add_function(LENIENT_INT, |value: cel::Value| match value {
        cel::Value::String(text) => text.trim().parse().map(cel::Value::Int).map_err(|_| {
            ExecutionError::function_error("int", format!("{text:?} is not a whole number"))
        }),
        cel::Value::UInt(value) => i64::try_from(value)
            .map(cel::Value::Int)
            .map_err(|error| ExecutionError::function_error("int", error)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "CEL's int() of a double truncates"
        )]
        cel::Value::Float(value) => Ok(cel::Value::Int(value as i64)),
        cel::Value::Int(_) => Ok(value),
        other => Err(ExecutionError::function_error(
            "int",
            format!("{other:?} is not a number"),
        )),
    })?;
    Ok(())
}

/// Our `int`. The standard one cannot be replaced, so calls are renamed before they are compiled,
/// to a name of the same length, which keeps the places of errors right.
const LENIENT_INT: &str = "i_t";

/// The source with every call of `int(` renamed, outside of quoted text.
fn lenient_int(source: &str) -> String {
    let mut renamed = source.to_owned();
    let bytes = source.as_bytes();
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, *byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), byte) if byte == open && at > 0 && bytes[at - 1] != b'\\' => quote = None,
            _ => {}
        }
        let starts = quote.is_none()
            && source
                .get(at..)
                .is_some_and(|rest| rest.starts_with("int("));
        let before = at.checked_sub(1).map(|before| bytes[before]);
        if starts && !before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.') {
            renamed.replace_range(at..at + 3, LENIENT_INT);
        }
    }
    renamed
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::Duration(value) => cel::Value::Float(value.as_secs_f64()),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(entries) => {
            let map: HashMap<Key, cel::Value> = entries
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), to_cel(value)))
                .collect();
            cel::Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn from_cel(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Int(*value),
        cel::Value::UInt(value) => Value::count(*value),
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => {
            Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?)
        }
        cel::Value::Map(map) => {
            let entry = |(key, value): (&Key, &cel::Value)| match key {
                Key::String(key) => Ok((key.to_string(), from_cel(value)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => {
                    Err("a map with keys that are not text".to_owned())
                }
            };
            Value::Map(Arc::new(
                map.map.iter().map(entry).collect::<Result<_, _>>()?,
            ))
        }
        other => return Err(format!("its value is a {:?}", other.type_of())),
    })
}

/// The path that an expression spells, if it is nothing else.
fn path_of(expression: &IdedExpr) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        _ => None,
    }
}

fn collect(expression: &IdedExpr, found: &mut Vec<Vec<String>>) {
    if let Some(path) = path_of(expression) {
        if !path.iter().any(|name| name.starts_with(['@', '#'])) && !found.contains(&path) {
            found.push(path);
        }
        return;
    }
    match &expression.expr {
        Expr::Select(select) => collect(&select.operand, found),
        Expr::Call(call) => {
            call.target.iter().for_each(|target| collect(target, found));
            call.args
                .iter()
                .for_each(|argument| collect(argument, found));
        }
        Expr::List(list) => list
            .elements
            .iter()
            .for_each(|element| collect(element, found)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    collect(&entry.key, found);
                    collect(&entry.value, found);
                }
            }
        }
        Expr::Comprehension(comprehension) => {
            let mut inner = Vec::new();
            for part in [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ] {
                collect(part, &mut inner);
            }
            inner.retain(|path| {
                path[0] != comprehension.iter_var
                    && path[0] != comprehension.accu_var
                    && Some(&path[0]) != comprehension.iter_var2.as_ref()
            });
            found.extend(inner);
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings() -> Bindings {
        let mut bindings = Bindings::new();
        bindings.set("vars", "n", Value::Int(41));
        bindings.set("vars", "text", Value::text("a b\n"));
        bindings.set(
            "steps",
            "box",
            Value::map([("stdout", Value::text("42\n"))]),
        );
        bindings
    }

    fn value(source: &str) -> Value {
        Expression::compile(source)
            .unwrap()
            .evaluate(&bindings())
            .unwrap()
    }

    #[test]
    fn paths_arithmetic_and_functions_have_values() {
        assert_eq!(value("vars.n"), Value::Int(41));
        assert_eq!(value("vars.n + 1"), Value::Int(42));
        assert_eq!(value("vars.text.split(' ')[0]"), Value::text("a"));
        assert_eq!(value("int(steps.box.stdout)"), Value::Int(42));
        assert_eq!(value("int(4.7) + int('2')"), Value::Int(6));
        assert_eq!(value("'int(x)' + string(int(1))"), Value::text("int(x)1"));
        assert_eq!(value("json('{\"id\": 7}').id"), Value::Int(7));
        assert_eq!(
            value("[1, 2].exists(x, x == vars.n - 39)"),
            Value::Bool(true)
        );
    }

    #[test]
    fn references_are_what_is_read_and_not_what_a_macro_binds() {
        let expression = Expression::compile("[1].map(x, x + vars.n) == steps.box.list").unwrap();
        assert_eq!(
            expression.references(),
            [
                vec!["vars".to_owned(), "n".to_owned()],
                vec!["steps".to_owned(), "box".to_owned(), "list".to_owned()]
            ]
        );
    }

    #[test]
    fn what_is_not_bound_or_does_not_fit_is_an_error_that_names_it() {
        let fails = |source: &str| {
            Expression::compile(source)
                .unwrap()
                .evaluate(&bindings())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            fails("vars.nope"),
            "evaluate `vars.nope`: `vars.nope` has no value here"
        );
        assert!(fails("vars.n + 'x'").starts_with("evaluate `vars.n + 'x'`"));
        assert!(fails("int(vars.text)").contains("int"));
        assert!(fails("1 / 0").contains("1 / 0"));
    }

    #[test]
    fn what_is_not_cel_is_refused_with_a_place() {
        assert_eq!(
            Expression::compile("vars.n +").unwrap_err().offset > 0,
            true
        );
        assert!(Expression::compile("").is_err());
        assert!(Expression::compile(&"(".repeat(5_000)).is_err());
        assert!(Expression::compile(&"(".repeat(500)).is_err());
    }
}
