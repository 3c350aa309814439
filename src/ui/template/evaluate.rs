//! Walks a tree with data (Go's text/template, "Pipelines" and "Variables").

use super::parse::{Base, Branch, Definitions, Node, Operand, Pipe};
use super::{Error, Value, functions};

pub fn render(
    nodes: &[Node],
    definitions: &Definitions,
    data: &Value,
    heading: bool,
) -> Result<String, Error> {
    let variables = vec![("$".to_owned(), data.clone())];
    let mut evaluator = Evaluator { heading, definitions, depth: 0, variables, out: String::new() };
    evaluator.walk(data, nodes)?;
    Ok(evaluator.out)
}

/// How many templates may use each other: one that uses itself has to end.
const DEPTH: usize = 100;

struct Evaluator<'a> {
    heading: bool,
    definitions: &'a Definitions,
    depth: usize,
    /// Innermost last; a branch forgets what it declared.
    variables: Vec<(String, Value)>,
    out: String,
}

/// What to do after a node.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Evaluator<'_> {
    fn walk(&mut self, dot: &Value, nodes: &[Node]) -> Result<Flow, Error> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Next
                }
                Node::Print(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        self.out.push_str(&value.to_string());
                    }
                    Flow::Next
                }
                Node::If(branch) => self.scoped(|this| {
                    let chosen = this.pipe(dot, &branch.pipe)?.is_true();
                    this.walk(dot, if chosen { &branch.then } else { &branch.otherwise })
                })?,
                Node::With(branch) => self.scoped(|this| {
                    let value = this.pipe(dot, &branch.pipe)?;
                    if value.is_true() {
                        this.walk(&value, &branch.then)
                    } else {
                        this.walk(dot, &branch.otherwise)
                    }
                })?,
                Node::Range(branch) => self.scoped(|this| this.range(dot, branch))?,
                Node::Template(name, pipe) => {
                    let value = match pipe {
                        Some(pipe) => self.pipe(dot, pipe)?,
                        None => Value::Nil,
                    };
                    self.template(name, value)?;
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// With variables of its own.
    fn template(&mut self, name: &str, data: Value) -> Result<(), Error> {
        let Some(nodes) = self.definitions.get(name) else {
            return Err(Error::UnknownTemplate { name: name.to_owned() });
        };
        if self.depth == DEPTH {
            return Err(Error::TooDeep { name: name.to_owned() });
        }
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        self.depth += 1;
        let result = self.walk(&data, nodes);
        self.depth -= 1;
        self.variables = outer;
        result.map(drop)
    }

    fn scoped<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let mark = self.variables.len();
        let result = body(self);
        self.variables.truncate(mark);
        result
    }

    fn range(&mut self, dot: &Value, branch: &Branch) -> Result<Flow, Error> {
        // the variables of a range take each element, not the collection
        let collection = self.commands(dot, &branch.pipe)?;
        let items: Vec<(Value, Value)> = match collection {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(i, v)| (Value::Int(i as i64), v)).collect()
            }
            // Docker tries the document as maps where the struct does not fit
            Value::Map(entries) | Value::Struct(entries) => {
                entries.into_iter().map(|(k, v)| (Value::Text(k), v)).collect()
            }
            Value::Int(count) => (0..count).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::Nil | Value::NilList | Value::NilMap | Value::Missing | Value::Omitted => {
                Vec::new()
            }
            other => return Err(Error::Range { of: other.kind() }),
        };
        if items.is_empty() {
            return self.walk(dot, &branch.otherwise);
        }
        for (key, item) in items {
            let flow = self.scoped(|this| {
                let values = match branch.pipe.variables.len() {
                    0 => vec![],
                    1 => vec![item.clone()],
                    _ => vec![key, item.clone()],
                };
                for (name, value) in branch.pipe.variables.iter().zip(values) {
                    this.set(name, value, branch.pipe.assigns)?;
                }
                this.walk(&item, &branch.then)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Result<Value, Error> {
        let value = self.commands(dot, pipe)?;
        for name in &pipe.variables {
            self.set(name, value.clone(), pipe.assigns)?;
        }
        Ok(value)
    }

    fn commands(&mut self, dot: &Value, pipe: &Pipe) -> Result<Value, Error> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(dot, command, piped)?);
        }
        Ok(piped.unwrap_or(Value::Missing))
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) -> Result<(), Error> {
        if !assigns {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let variable = self.variables.iter_mut().rev().find(|(n, _)| n == name);
        let unknown = || Error::UnknownVariable { name: name.to_owned() };
        variable.ok_or_else(unknown)?.1 = value;
        Ok(())
    }

    /// One command; `piped` is the value of the one before it, and becomes the last argument.
    fn command(
        &mut self,
        dot: &Value,
        command: &[Operand],
        piped: Option<Value>,
    ) -> Result<Value, Error> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Missing) };
        match first {
            // these two stop at the first operand that decides
            Operand::Function(name) if name == "and" || name == "or" => {
                let mut value = Value::Missing;
                for operand in rest {
                    value = self.operand(dot, operand)?;
                    if value.is_true() == (name == "or") {
                        return Ok(value);
                    }
                }
                match piped {
                    Some(piped) => Ok(piped),
                    None if rest.is_empty() => {
                        functions::call(name, &[]).map(|_: Value| Value::Missing)
                    }
                    None => Ok(value),
                }
            }
            Operand::Function(name) => {
                let arguments = self.arguments(dot, rest, piped)?;
                if self.heading && functions::CHANGE_TEXT.contains(&name.as_str()) {
                    let text = arguments.into_iter().find(|a| matches!(a, Value::Text(_)));
                    return Ok(text.unwrap_or(Value::Missing));
                }
                functions::call(name, &arguments)
            }
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Chain(base, fields) => {
                let value = self.chain(dot, base, fields)?;
                let arguments = self.arguments(dot, rest, piped)?;
                match (&value, arguments.as_slice()) {
                    (Value::Lookup(entries), [Value::Text(key)]) => {
                        let found = entries.iter().find(|(k, _)| k == key);
                        Ok(Value::text(found.map_or("", |(_, v)| v)))
                    }
                    (Value::Text(_), [Value::Text(_)]) if self.heading => {
                        // the heading of `.Label "name"` is the name
                        Ok(arguments.into_iter().next().unwrap_or(Value::Missing))
                    }
                    (_, []) => Ok(value),
                    _ => Err(Error::Call {
                        function: format!(".{}", fields.join(".")),
                        message: "it is a value and takes no arguments".into(),
                    }),
                }
            }
        }
    }

    fn arguments(
        &mut self,
        dot: &Value,
        operands: &[Operand],
        piped: Option<Value>,
    ) -> Result<Vec<Value>, Error> {
        let given = operands.iter().map(|operand| self.operand(dot, operand));
        let mut arguments = given.collect::<Result<Vec<_>, _>>()?;
        arguments.extend(piped);
        Ok(arguments)
    }

    fn operand(&mut self, dot: &Value, operand: &Operand) -> Result<Value, Error> {
        match operand {
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Chain(base, fields) => self.chain(dot, base, fields),
        }
    }

    fn chain(&mut self, dot: &Value, base: &Base, fields: &[String]) -> Result<Value, Error> {
        match base {
            Base::Dot => field(dot, fields),
            Base::Variable(name) => {
                let variable = self.variables.iter().rev().find(|(n, _)| n == name);
                let unknown = || Error::UnknownVariable { name: name.clone() };
                field(&variable.ok_or_else(unknown)?.1, fields)
            }
            Base::Group(pipe) => {
                let value = self.scoped(|this| this.pipe(dot, pipe))?;
                field(&value, fields)
            }
        }
    }
}

fn field(value: &Value, fields: &[String]) -> Result<Value, Error> {
    let mut value = value;
    for name in fields {
        let entries = match value {
            Value::Struct(entries) | Value::Map(entries) => entries,
            Value::Missing | Value::NilMap => return Ok(Value::Missing),
            other => return Err(Error::FieldOf { name: name.clone(), of: other.kind() }),
        };
        let exact = entries.iter().find(|(key, _)| key == name);
        // Docker's types and their JSON differ in case (`.ID` and `.Id`), and its templates take both
        let found = match value {
            Value::Struct(_) => {
                exact.or_else(|| entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
            }
            _ => exact,
        };
        value = match (found, value) {
            (Some((_, Value::Hidden(found))), _) => found,
            (Some((_, found)), _) => found,
            (None, Value::Map(_)) => return Ok(Value::Missing),
            (None, _) => {
                let known = entries.iter().map(|(key, _)| key.clone()).collect();
                return Err(Error::UnknownField { name: name.clone(), known });
            }
        };
    }
    Ok(value.clone())
}
