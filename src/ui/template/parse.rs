//! Tokens into a tree.

use super::Error;
use super::lex::{Lexeme, Token};
use super::value::Value;
use std::collections::HashMap;

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Text(String),
    Print(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    /// What has this name is rendered with the pipe's value as dot; with none if there is no pipe.
    Template(String, Option<Pipe>),
    Break,
    Continue,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    pub pipe: Pipe,
    pub then: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// `$a, $b := command | command`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipe {
    pub variables: Vec<String>,
    /// `=` rather than `:=`
    pub assigns: bool,
    pub commands: Vec<Vec<Operand>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Constant(Value),
    Function(String),
    /// A base and the fields taken from it: `.A.B`, `$x.A`, `(pipe).A`
    Chain(Base, Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Base {
    Dot,
    Variable(String),
    Group(Box<Pipe>),
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Ended {
    Text,
    End,
    Else,
}

/// Named templates, by name.
pub type Definitions = HashMap<String, Vec<Node>>;

pub fn parse(tokens: Vec<Lexeme>) -> Result<(Vec<Node>, Definitions), Error> {
    let mut parser = Parser { tokens, at: 0, loops: 0, definitions: HashMap::new() };
    let (root, ended) = parser.nodes()?;
    match ended {
        Ended::Text => Ok((root, parser.definitions)),
        Ended::End => Err(syntax("unexpected {{end}}")),
        Ended::Else => Err(syntax("unexpected {{else}}")),
    }
}

struct Parser {
    tokens: Vec<Lexeme>,
    at: usize,
    loops: usize,
    definitions: Definitions,
}

impl Parser {
    fn next(&mut self) -> Result<Token, Error> {
        let token = self.ahead(0).cloned().ok_or_else(|| syntax("unexpected end"))?;
        self.at += 1;
        Ok(token)
    }

    fn ahead(&self, distance: usize) -> Option<&Token> {
        self.tokens.get(self.at + distance).map(|l| &l.token)
    }

    fn spaced(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|l| l.spaced)
    }

    fn expect(&mut self, token: &Token, context: &str) -> Result<(), Error> {
        let found = self.next()?;
        if found == *token { Ok(()) } else { Err(unexpected(&found, context)) }
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Ended), Error> {
        let mut nodes = Vec::new();
        while self.ahead(0).is_some() {
            if let Token::Text(text) = self.next()? {
                nodes.push(Node::Text(text));
                continue;
            }
            let keyword = match self.ahead(0) {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            let is_keyword = matches!(
                keyword.as_str(),
                "if" | "with"
                    | "range"
                    | "else"
                    | "end"
                    | "break"
                    | "continue"
                    | "define"
                    | "template"
                    | "block"
            );
            if is_keyword {
                self.next()?;
            }
            match keyword.as_str() {
                "if" => nodes.push(Node::If(self.branch("if")?)),
                "with" => nodes.push(Node::With(self.branch("with")?)),
                "range" => nodes.push(Node::Range(self.branch("range")?)),
                "define" => {
                    let name = self.name("define")?;
                    self.expect(&Token::Close, "define")?;
                    self.definition(name, "define")?;
                }
                "template" => nodes.push(self.template("template")?),
                "block" => {
                    let node = self.template("block")?;
                    match &node {
                        Node::Template(name, Some(_)) => self.definition(name.clone(), "block")?,
                        _ => return Err(syntax("missing value for block")),
                    }
                    nodes.push(node);
                }
                "end" => {
                    self.expect(&Token::Close, "{{end}}")?;
                    return Ok((nodes, Ended::End));
                }
                // what follows `else` is read by the branch
                "else" => return Ok((nodes, Ended::Else)),
                "break" | "continue" => {
                    self.expect(&Token::Close, &keyword)?;
                    if self.loops == 0 {
                        return Err(syntax(format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                    }
                    nodes.push(if keyword == "break" { Node::Break } else { Node::Continue });
                }
                _ => nodes.push(Node::Print(self.pipe("command", &Token::Close)?)),
            }
        }
        Ok((nodes, Ended::Text))
    }

    fn name(&mut self, keyword: &str) -> Result<String, Error> {
        match self.next()? {
            Token::Quoted(name) => Ok(name),
            found => Err(unexpected(&found, keyword)),
        }
    }

    /// The name, and the value if there is one.
    fn template(&mut self, keyword: &'static str) -> Result<Node, Error> {
        let name = self.name(keyword)?;
        if self.ahead(0) == Some(&Token::Close) {
            self.next()?;
            return Ok(Node::Template(name, None));
        }
        Ok(Node::Template(name, Some(self.pipe(keyword, &Token::Close)?)))
    }

    /// Up to its `{{end}}`.
    fn definition(&mut self, name: String, keyword: &str) -> Result<(), Error> {
        let loops = std::mem::take(&mut self.loops);
        let (nodes, ended) = self.nodes()?;
        self.loops = loops;
        if ended != Ended::End {
            return Err(syntax(format!("{{{{{keyword}}}}} has no {{{{end}}}}")));
        }
        self.definitions.insert(name, nodes);
        Ok(())
    }

    fn branch(&mut self, keyword: &'static str) -> Result<Branch, Error> {
        let pipe = self.pipe(keyword, &Token::Close)?;
        let looping = usize::from(keyword == "range");
        self.loops += looping;
        let (then, ended) = self.nodes()?;
        self.loops -= looping;
        let otherwise = match ended {
            Ended::End => Vec::new(),
            Ended::Text => return Err(syntax(format!("{{{{{keyword}}}}} has no {{{{end}}}}"))),
            Ended::Else => self.otherwise(keyword)?,
        };
        Ok(Branch { pipe, then, otherwise })
    }

    /// After `{{else`: its own nodes, or `if …`/`with …` in the same action, which share the `{{end}}`.
    fn otherwise(&mut self, keyword: &'static str) -> Result<Vec<Node>, Error> {
        match self.next()? {
            Token::Close => match self.nodes()? {
                (nodes, Ended::End) => Ok(nodes),
                _ => {
                    Err(syntax(format!("{{{{{keyword}}}}} has no {{{{end}}}} after {{{{else}}}}")))
                }
            },
            Token::Word(word) if word == "if" && keyword == "if" => {
                Ok(vec![Node::If(self.branch("if")?)])
            }
            Token::Word(word) if word == "with" && keyword == "with" => {
                Ok(vec![Node::With(self.branch("with")?)])
            }
            found => Err(unexpected(&found, "{{else}}")),
        }
    }

    fn pipe(&mut self, context: &str, end: &Token) -> Result<Pipe, Error> {
        let mut pipe = self.declaration(context)?;
        loop {
            let mut command = Vec::new();
            loop {
                match self.ahead(0) {
                    Some(token) if token == end || *token == Token::Symbol('|') => break,
                    None => return Err(syntax(format!("unclosed {context}"))),
                    _ => command.push(self.operand(context, command.is_empty())?),
                }
            }
            match command.first() {
                None => return Err(syntax(format!("missing value for {context}"))),
                Some(Operand::Constant(_)) if !pipe.commands.is_empty() || command.len() > 1 => {
                    return Err(syntax("a constant takes no arguments"));
                }
                Some(Operand::Constant(Value::Nil)) => {
                    return Err(syntax("nil is not a command"));
                }
                _ => pipe.commands.push(command),
            }
            if self.next()? == *end {
                return Ok(pipe);
            }
        }
    }

    /// `$x :=`, `$x =` or, for `range`, `$i, $x :=` at the start of a pipeline.
    fn declaration(&mut self, context: &str) -> Result<Pipe, Error> {
        let mut pipe = Pipe::default();
        let mut count = 0;
        loop {
            match self.ahead(count) {
                Some(Token::Variable(name)) => pipe.variables.push(name.clone()),
                _ => return Ok(Pipe::default()),
            }
            count += 2;
            match self.ahead(count - 1) {
                Some(Token::Symbol(',')) if context == "range" && pipe.variables.len() == 1 => {}
                Some(Token::Declare) => break,
                Some(Token::Symbol('=')) => {
                    pipe.assigns = true;
                    break;
                }
                _ => return Ok(Pipe::default()),
            }
        }
        self.at += count;
        Ok(pipe)
    }

    fn operand(&mut self, context: &str, first: bool) -> Result<Operand, Error> {
        let touches = !first && !self.spaced();
        let token = self.next()?;
        if touches && token != Token::Close {
            return Err(unexpected(&token, "an operand"));
        }
        let base = match token {
            Token::Quoted(text) => return Ok(Operand::Constant(Value::Text(text))),
            Token::Int(int) => return Ok(Operand::Constant(Value::Int(int))),
            Token::Float(float) => return Ok(Operand::Constant(Value::Float(float))),
            Token::Word(word) => {
                return Ok(match word.as_str() {
                    "true" => Operand::Constant(Value::Bool(true)),
                    "false" => Operand::Constant(Value::Bool(false)),
                    "nil" => Operand::Constant(Value::Nil),
                    _ if super::functions::exists(&word) => Operand::Function(word),
                    _ => return Err(Error::UnknownFunction { name: word }),
                });
            }
            Token::Dot => return Ok(Operand::Chain(Base::Dot, Vec::new())),
            Token::Field(name) => {
                let mut fields = vec![name];
                self.fields(&mut fields);
                return Ok(Operand::Chain(Base::Dot, fields));
            }
            Token::Variable(name) => Base::Variable(name),
            Token::Symbol('(') => {
                Base::Group(Box::new(self.pipe("parenthesis", &Token::Symbol(')'))?))
            }
            found => return Err(unexpected(&found, context)),
        };
        let mut fields = Vec::new();
        self.fields(&mut fields);
        Ok(Operand::Chain(base, fields))
    }

    fn fields(&mut self, fields: &mut Vec<String>) {
        while let Some(Token::Field(name)) = self.ahead(0) {
            if self.spaced() {
                return;
            }
            fields.push(name.clone());
            self.at += 1;
        }
    }
}

fn unexpected(token: &Token, context: &str) -> Error {
    let shown = match token {
        Token::Text(text) | Token::Quoted(text) => format!("{text:?}"),
        Token::Open => "{{".into(),
        Token::Close => "}}".into(),
        Token::Word(word) | Token::Variable(word) => word.clone(),
        Token::Field(name) => format!(".{name}"),
        Token::Dot => ".".into(),
        Token::Int(int) => int.to_string(),
        Token::Float(float) => float.to_string(),
        Token::Declare => ":=".into(),
        Token::Symbol(symbol) => symbol.to_string(),
    };
    syntax(format!("unexpected {shown} in {context}"))
}

fn syntax(message: impl Into<String>) -> Error {
    Error::Syntax { message: message.into() }
}
