//! Go templates for `--format`: text/template as far as commands that list and inspect need it, with the
//! functions of the docker CLI.
//!
//! Grammar and semantics are those of Go's package documentation; what is left out is what has no use on a
//! command line (methods of several arguments, calls of functions that are data).

mod evaluate;
mod functions;
mod lex;
mod parse;
mod printf;
mod value;

pub use value::Value;

use knarr_core::hint::Hint;

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<parse::Node>,
    definitions: parse::Definitions,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{message}")]
    Syntax { message: String },
    #[error("function {name:?} is not defined")]
    UnknownFunction { name: String },
    #[error("there is no field .{name}")]
    UnknownField { name: String, known: Vec<String> },
    #[error("cannot take the field .{name} of {of}")]
    FieldOf { name: String, of: &'static str },
    #[error("undefined variable {name:?}")]
    UnknownVariable { name: String },
    #[error("{function}: {message}")]
    Call { function: String, message: String },
    #[error("template {name:?} is not defined")]
    UnknownTemplate { name: String },
    #[error("template {name:?} uses itself without an end")]
    TooDeep { name: String },
    #[error("cannot range over {of}")]
    Range { of: &'static str },
    #[error(transparent)]
    Unsupported(#[from] value::Unsupported),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownField { known, .. } if !known.is_empty() => {
                Some(format!("the fields here are .{}", known.join(", .")))
            }
            Self::UnknownFunction { .. } => {
                Some(format!("the functions are {}", functions::NAMES.join(", ")))
            }
            _ => None,
        }
    }
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (nodes, definitions) = parse::parse(lex::lex(text)?)?;
        Ok(Self { nodes, definitions })
    }

    pub fn render(&self, data: &Value) -> Result<String, Error> {
        evaluate::render(&self.nodes, &self.definitions, data, false)
    }

    /// Renders the heading of a table: `data` holds the headings by field name, and functions hand them
    /// through unchanged.
    pub fn render_heading(&self, data: &Value) -> Result<String, Error> {
        evaluate::render(&self.nodes, &self.definitions, data, true)
    }
}

#[cfg(test)]
mod tests;
