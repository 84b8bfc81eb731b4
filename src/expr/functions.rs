//! The functions of expressions: CEL's standard library, its string, list, math and encoder
//! extensions, and two of ours.
//!
//! `json(text)` parses text as JSON. `int(text)` and `double(text)` ignore white space around the
//! number, since the output of a command ends with a line break.

use std::sync::{Arc, LazyLock};

use ::cel::common::ast::{CallExpr, Expr, IdedExpr};
use ::cel::common::types::{CelString, DYN_TYPE, STRING_TYPE};
use ::cel::common::value::{CowVal, Val};
use ::cel::{DeclarationError, Env, ExecutionError, extensions};

use super::cel::to_cel;
use super::value::Value;

/// Not a name that can be written.
const TRIMMED: &str = "@trimmed";

/// The functions that are ours, for messages.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(environment().expect("no function is declared twice")));

fn environment() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::lists)?;
    env.add_extension(extensions::math)?;
    env.add_extension(extensions::encoders)?;
    env.add_overload("json", "json_string", vec![STRING_TYPE], json)?;
    env.add_overload(TRIMMED, "trimmed_dyn", vec![DYN_TYPE], trimmed)?;
    Ok(env)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of the interpreter"
)]
fn json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args
        .first()
        .and_then(|value| value.downcast_ref::<CelString<'_>>())
        .ok_or_else(ExecutionError::missing_argument_or_target)?;
    let parsed: serde_json::Value = serde_json::from_str(text.inner())
        .map_err(|error| ExecutionError::function_error("json", error))?;
    let value: Box<dyn Val> = to_cel(&Value::from(parsed)).try_into()?;
    Ok(CowVal::Owned(value))
}

fn trimmed<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args
        .into_iter()
        .next()
        .ok_or_else(ExecutionError::missing_argument_or_target)?;
    let text = value
        .downcast_ref::<CelString<'_>>()
        .map(|text| text.inner().trim().to_owned());
    Ok(match text {
        Some(text) => CowVal::owned(CelString::from(text)),
        None => value,
    })
}

/// Puts `@trimmed(…)` around the argument of every `int(…)` and `double(…)`.
pub(super) fn trim_numbers(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => trim_numbers(&mut select.operand),
        Expr::Call(call) => trim_call(call),
        Expr::List(list) => list.elements.iter_mut().for_each(trim_numbers),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                trim_entry(&mut entry.expr);
            }
        }
        Expr::Struct(structure) => {
            for entry in &mut structure.entries {
                trim_entry(&mut entry.expr);
            }
        }
        Expr::Comprehension(comprehension) => {
            trim_numbers(&mut comprehension.iter_range);
            trim_numbers(&mut comprehension.accu_init);
            trim_numbers(&mut comprehension.loop_cond);
            trim_numbers(&mut comprehension.loop_step);
            trim_numbers(&mut comprehension.result);
        }
    }
}

fn trim_entry(entry: &mut ::cel::common::ast::EntryExpr) {
    match entry {
        ::cel::common::ast::EntryExpr::StructField(field) => trim_numbers(&mut field.value),
        ::cel::common::ast::EntryExpr::MapEntry(entry) => {
            trim_numbers(&mut entry.key);
            trim_numbers(&mut entry.value);
        }
    }
}

fn trim_call(call: &mut CallExpr) {
    if let Some(target) = &mut call.target {
        trim_numbers(target);
    }
    call.args.iter_mut().for_each(trim_numbers);
    let converts = matches!(call.func_name.as_str(), "int" | "double");
    if converts && call.target.is_none() && call.args.len() == 1 {
        let argument = call.args.remove(0);
        call.args.push(IdedExpr {
            id: argument.id,
            expr: Expr::Call(CallExpr {
                func_name: TRIMMED.to_owned(),
                target: None,
                args: vec![argument],
            }),
        });
    }
}
