//! `/app.wasm#function`: one exported function instead of the program's entry point.
//!
//! The words after the module are its arguments, read by their types; its results are printed, one a line.

use super::super::error::Error;
use super::super::host::stdio::Output;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{self, Component};
use wasmtime::{Engine, ExternType, Module, Val, ValType};

/// The functions that a module exports.
pub(super) fn functions(module: &Module) -> Vec<String> {
    let functions = module.exports().filter(|e| e.ty().func().is_some());
    functions.map(|e| e.name().to_owned()).collect()
}

/// Arguments for a module's function, by its type.
pub(super) fn arguments(
    path: &str,
    module: &Module,
    function: &str,
    words: &[String],
) -> Result<Vec<Val>, Error> {
    let Some(ExternType::Func(ty)) = module.get_export(function) else {
        return Err(no_such_function(path, function, functions(module)));
    };
    check_count(function, ty.params().len(), words.len())?;
    ty.params().zip(words).map(|(ty, word)| value(function, &ty, word)).collect()
}

fn value(function: &str, ty: &ValType, word: &str) -> Result<Val, Error> {
    let value = match ty {
        ValType::I32 => integer(word, i32::MIN.into(), u32::MAX.into()).map(|v| Val::I32(v as i32)),
        ValType::I64 => integer(word, i64::MIN.into(), u64::MAX.into()).map(|v| Val::I64(v as i64)),
        ValType::F32 => word.parse::<f32>().ok().map(|v| Val::F32(v.to_bits())),
        ValType::F64 => word.parse::<f64>().ok().map(|v| Val::F64(v.to_bits())),
        _ => None,
    };
    value.ok_or_else(|| wrong(function, format!("{word:?} is not a value of the type {ty}")))
}

/// Signed or unsigned, as the function may mean either.
fn integer(word: &str, least: i128, most: i128) -> Option<i128> {
    word.parse().ok().filter(|v| (least..=most).contains(v))
}

/// Room for a function's results.
pub(super) fn results(module: &Module, function: &str) -> Vec<Val> {
    match module.get_export(function) {
        Some(ExternType::Func(ty)) => ty.results().map(|_| Val::I32(0)).collect(),
        _ => Vec::new(),
    }
}

/// Prints the results of a module's function.
pub(super) fn print(results: &[Val]) {
    let text: String = results
        .iter()
        .map(|value| match value {
            Val::I32(v) => format!("{v}\n"),
            Val::I64(v) => format!("{v}\n"),
            Val::F32(v) => format!("{}\n", f32::from_bits(*v)),
            Val::F64(v) => format!("{}\n", f64::from_bits(*v)),
            other => format!("{other:?}\n"),
        })
        .collect();
    let _ = Output::Stdout.write_all(text.as_bytes());
}

/// Arguments for a component's function, and room for its results.
pub(super) fn component_arguments(
    engine: &Engine,
    path: &str,
    component: &Component,
    function: &str,
    words: &[String],
) -> Result<(Vec<component::Val>, Vec<component::Val>), Error> {
    use component::{Type, Val};
    let ty = component.component_type();
    let item = ty.get_export(engine, function).map(|export| export.ty);
    let Some(ComponentItem::ComponentFunc(ty)) = item else {
        let functions = component.component_type();
        let functions = functions.exports(engine);
        let functions = functions.filter(|(_, e)| matches!(e.ty, ComponentItem::ComponentFunc(_)));
        let names = functions.map(|(name, _)| name.to_owned()).collect();
        return Err(no_such_function(path, function, names));
    };
    check_count(function, ty.params().len(), words.len())?;
    let mut arguments = Vec::new();
    for ((name, ty), word) in ty.params().zip(words) {
        let value = match ty {
            Type::Bool => word.parse().ok().map(Val::Bool),
            Type::S8 => word.parse().ok().map(Val::S8),
            Type::U8 => word.parse().ok().map(Val::U8),
            Type::S16 => word.parse().ok().map(Val::S16),
            Type::U16 => word.parse().ok().map(Val::U16),
            Type::S32 => word.parse().ok().map(Val::S32),
            Type::U32 => word.parse().ok().map(Val::U32),
            Type::S64 => word.parse().ok().map(Val::S64),
            Type::U64 => word.parse().ok().map(Val::U64),
            Type::Float32 => word.parse().ok().map(Val::Float32),
            Type::Float64 => word.parse().ok().map(Val::Float64),
            Type::Char => word.parse().ok().map(Val::Char),
            Type::String => Some(Val::String(word.clone())),
            _ => None,
        };
        arguments.push(value.ok_or_else(|| {
            wrong(function, format!("{word:?} is not a value of the type of {name:?}"))
        })?);
    }
    Ok((arguments, ty.results().map(|_| Val::Bool(false)).collect()))
}

/// Prints the results of a component's function.
pub(super) fn print_component(results: &[component::Val]) {
    use component::Val;
    let text: String = results
        .iter()
        .map(|value| match value {
            Val::Bool(v) => format!("{v}\n"),
            Val::S8(v) => format!("{v}\n"),
            Val::U8(v) => format!("{v}\n"),
            Val::S16(v) => format!("{v}\n"),
            Val::U16(v) => format!("{v}\n"),
            Val::S32(v) => format!("{v}\n"),
            Val::U32(v) => format!("{v}\n"),
            Val::S64(v) => format!("{v}\n"),
            Val::U64(v) => format!("{v}\n"),
            Val::Float32(v) => format!("{v}\n"),
            Val::Float64(v) => format!("{v}\n"),
            Val::Char(v) => format!("{v}\n"),
            Val::String(v) => format!("{v}\n"),
            other => format!("{other:?}\n"),
        })
        .collect();
    let _ = Output::Stdout.write_all(text.as_bytes());
}

fn check_count(function: &str, wanted: usize, given: usize) -> Result<(), Error> {
    if wanted == given {
        return Ok(());
    }
    Err(wrong(function, format!("it takes {wanted} arguments, {given} are given")))
}

fn wrong(function: &str, reason: String) -> Error {
    Error::WrongArguments { function: function.to_owned(), reason }
}

fn no_such_function(path: &str, function: &str, exports: Vec<String>) -> Error {
    Error::NoSuchFunction { path: path.to_owned(), function: function.to_owned(), exports }
}
