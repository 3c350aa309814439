//! Nodes to instructions: the right number of arguments, flags that exist, values that can be.

mod copy;
pub mod expose;
mod flags;
mod health;
pub mod mount;
mod run;

use super::ast::{Arg, Command, Instruction, KeyValue, Onbuild, Stage};
use super::error::{Error, Problem, Result};
use super::source::{Located, Source, Span, Word};
use super::tree::{self, Arguments, Node};
use flags::Flags;
use knarr_core::suggest::nearest;

/// What a node is.
pub enum Statement {
    From(Stage),
    Instruction(Located<Instruction>),
}

/// Reads one node.
pub fn statement(source: &Source, node: &Node) -> Result<Statement> {
    let reader = Reader { source, node };
    let span = node.span;
    let Some(keyword) = tree::keywords().find(|keyword| node.keyword.eq_ignore_ascii_case(keyword))
    else {
        let keyword = node.keyword.value.clone();
        let nearest =
            nearest(&keyword, tree::keywords()).map(|nearest| in_the_case_of(&keyword, nearest));
        let continues = looks_continued(source, node.keyword.span.start);
        let problem = Problem::UnknownInstruction { keyword, nearest, continues };
        return Err(Error::new(source, node.keyword.span, problem));
    };
    let instruction = match keyword {
        "FROM" => return reader.from().map(Statement::From),
        "ADD" => Instruction::Add(copy::add(&reader)?),
        "ARG" => Instruction::Arg(reader.args()?),
        "CMD" => Instruction::Cmd(reader.command("CMD")?),
        "COPY" => Instruction::Copy(copy::copy(&reader)?),
        "ENTRYPOINT" => Instruction::Entrypoint(reader.command("ENTRYPOINT")?),
        "ENV" => Instruction::Env(reader.pairs("ENV")?),
        "EXPOSE" => Instruction::Expose(reader.some_words("EXPOSE")?),
        "HEALTHCHECK" => Instruction::Healthcheck(health::healthcheck(&reader)?),
        "LABEL" => Instruction::Label(reader.pairs("LABEL")?),
        "MAINTAINER" => Instruction::Maintainer(reader.one_text("MAINTAINER")?),
        "ONBUILD" => Instruction::Onbuild(reader.onbuild()?),
        "RUN" => Instruction::Run(run::run(&reader)?),
        "SHELL" => Instruction::Shell(reader.shell()?),
        "STOPSIGNAL" => Instruction::Stopsignal(reader.one_text("STOPSIGNAL")?),
        "USER" => Instruction::User(reader.one_text("USER")?),
        "VOLUME" => Instruction::Volume(reader.volumes()?),
        _ => Instruction::Workdir(reader.one_text("WORKDIR")?),
    };
    Ok(Statement::Instruction(Located::new(instruction, span)))
}

/// Whether a line looks like a part of the one before: it is indented, or that one ends with an operator of the shell.
fn looks_continued(source: &Source, at: usize) -> bool {
    let before = source.slice(Span::new(0, at));
    let Some((lines, indent)) = before.rsplit_once('\n') else { return false };
    let last = lines.trim_end().rsplit('\n').next().unwrap_or_default();
    !indent.is_empty()
        || ["&&", "||", "|", ";", ","].iter().any(|operator| last.ends_with(operator))
}

/// Writes a suggestion the way the word was written.
fn in_the_case_of(written: &str, keyword: &str) -> String {
    match written.chars().any(char::is_uppercase) {
        true => keyword.to_owned(),
        false => keyword.to_lowercase(),
    }
}

/// A node that is being read, with what an error needs.
struct Reader<'a> {
    source: &'a Source,
    node: &'a Node,
}

impl Reader<'_> {
    fn fail<T>(&self, span: Span, problem: Problem) -> Result<T> {
        Err(Error::new(self.source, span, problem))
    }

    /// The first line of the instruction, for errors that are about all of it.
    fn all(&self) -> Span {
        self.node.span
    }

    fn flags(&self, keyword: &'static str, known: &'static [&'static str]) -> Result<Flags<'_>> {
        Flags::read(self.source, self.node, keyword, known)
    }

    fn no_flags(&self, keyword: &'static str) -> Result<()> {
        Flags::none(self.source, self.node, keyword)
    }

    /// Words, or the strings of a list.
    fn words(&self) -> &[Word] {
        match &self.node.arguments {
            Arguments::Words(words) | Arguments::Json(words) => words,
            _ => &[],
        }
    }

    fn some_words(&self, keyword: &'static str) -> Result<Vec<Word>> {
        self.no_flags(keyword)?;
        match self.words() {
            [] => self.fail(self.all(), Problem::NoArgument { keyword }),
            words => Ok(words.to_vec()),
        }
    }

    fn one_text(&self, keyword: &'static str) -> Result<Word> {
        self.no_flags(keyword)?;
        match &self.node.arguments {
            Arguments::Text(word) => Ok(word.clone()),
            _ => self.fail(self.all(), Problem::OneArgument { keyword }),
        }
    }

    fn pairs(&self, keyword: &'static str) -> Result<Vec<KeyValue>> {
        self.no_flags(keyword)?;
        let Arguments::Pairs { pairs, .. } = &self.node.arguments else {
            return self.fail(self.all(), Problem::NoArgument { keyword });
        };
        let mut checked = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if key.is_empty() {
                return self.fail(key.span.to(value.span), Problem::BlankName);
            }
            checked.push(KeyValue { key: key.clone(), value: value.clone() });
        }
        Ok(checked)
    }

    fn args(&self) -> Result<Vec<Arg>> {
        let mut args = Vec::new();
        for word in self.some_words("ARG")? {
            let (name, default) = match word.split_once('=') {
                None => (word.clone(), None),
                Some((name, default)) => {
                    let middle = word.span.start + name.len();
                    let name = Word::new(name.into(), Span::new(word.span.start, middle));
                    let default = Word::new(default.into(), Span::new(middle + 1, word.span.end));
                    (name, Some(default))
                }
            };
            if name.is_empty() {
                return self.fail(word.span, Problem::BlankName);
            }
            let description = self.description(&name);
            args.push(Arg { name, default, description });
        }
        Ok(args)
    }

    /// The comment `# NAME text` above.
    fn description(&self, name: &str) -> Option<String> {
        let mut comments = self.node.comments.iter();
        comments.find_map(|comment| Some(comment.strip_prefix(name)?.strip_prefix(' ')?.to_owned()))
    }

    /// Shell or JSON form. Without arguments it is an empty line for the shell, as BuildKit has it.
    fn command(&self, keyword: &'static str) -> Result<Command> {
        self.no_flags(keyword)?;
        Ok(command_of(&self.node.arguments))
    }

    fn shell(&self) -> Result<Vec<String>> {
        self.no_flags("SHELL")?;
        match &self.node.arguments {
            Arguments::Json(words) if !words.is_empty() => Ok(texts(words)),
            Arguments::Text(word) => self.fail(word.span, Problem::ShellForm),
            _ => self.fail(self.all(), Problem::NoArgument { keyword: "SHELL" }),
        }
    }

    fn volumes(&self) -> Result<Vec<Word>> {
        let mut volumes = self.some_words("VOLUME")?;
        for volume in &mut volumes {
            volume.value = volume.trim().to_owned();
            if volume.is_empty() {
                return self.fail(volume.span, Problem::EmptyVolume);
            }
        }
        Ok(volumes)
    }

    fn onbuild(&self) -> Result<Onbuild> {
        self.no_flags("ONBUILD")?;
        let Arguments::Trigger(node) = &self.node.arguments else {
            return self.fail(self.all(), Problem::NoArgument { keyword: "ONBUILD" });
        };
        for keyword in ["FROM", "MAINTAINER"] {
            if node.keyword.eq_ignore_ascii_case(keyword) {
                return self.fail(node.keyword.span, Problem::Onbuild { keyword });
            }
        }
        let mut trigger = node.text.clone();
        for document in &node.heredocs {
            trigger.push('\n');
            trigger.push_str(&document.content);
            trigger.push_str(&document.name);
        }
        match statement(self.source, node)? {
            Statement::Instruction(instruction) => {
                Ok(Onbuild { trigger, instruction: Box::new(instruction) })
            }
            Statement::From(_) => {
                self.fail(node.keyword.span, Problem::Onbuild { keyword: "FROM" })
            }
        }
    }

    fn from(&self) -> Result<Stage> {
        let flags = self.flags("FROM", &["platform"])?;
        let (base, name) = match self.words() {
            [base] => (base, None),
            [base, keyword, name] if keyword.eq_ignore_ascii_case("AS") => (base, Some(name)),
            [] => return self.fail(self.all(), Problem::FromArguments { second: None }),
            [_, second, ..] => {
                let word = (!second.eq_ignore_ascii_case("AS")).then(|| second.value.clone());
                return self.fail(second.span, Problem::FromArguments { second: word });
            }
        };
        let name = match name {
            Some(name) if is_stage_name(&name.to_lowercase()) => {
                Some(Word::new(name.to_lowercase(), name.span))
            }
            Some(name) => {
                return self.fail(name.span, Problem::StageName { name: name.value.clone() });
            }
            None => None,
        };
        Ok(Stage {
            description: name.as_ref().and_then(|name| self.description(name)),
            name,
            base: base.clone(),
            platform: flags.text("platform")?,
            instructions: Vec::new(),
            span: self.node.span,
        })
    }
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.value.clone()).collect()
}

fn command_of(arguments: &Arguments) -> Command {
    match arguments {
        Arguments::Json(words) => Command::Exec(texts(words)),
        Arguments::Text(word) => Command::Shell(word.value.clone()),
        _ => Command::Shell(String::new()),
    }
}
