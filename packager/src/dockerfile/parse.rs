//! A file to a [`Dockerfile`].

use super::ast::{Dockerfile, Instruction, Stage};
use super::error::{Error, Problem, Result};
use super::lines::Lines;
use super::source::{Located, Source, Span};
use super::tree;
use super::typed::{self, Statement};

/// Reads a Dockerfile. `name` is what messages call it.
pub fn parse(bytes: &[u8], name: &str) -> Result<Dockerfile> {
    let Some(source) = Source::from_bytes(name, bytes) else {
        let source = Source::new(name, "");
        return Err(Error::new(&source, Span::default(), Problem::Encoding { utf16: true }));
    };
    let mut lines = Lines::new(&source);
    let nodes = tree::read(&source, &mut lines)?;
    let end = Span::new(source.text().len(), source.text().len());
    if nodes.is_empty() {
        return Err(Error::new(&source, end, Problem::Empty));
    }
    let (mut args, mut stages) = (Vec::new(), Vec::<Stage>::new());
    for node in &nodes {
        match (typed::statement(&source, node)?, stages.last_mut()) {
            (Statement::From(stage), _) => stages.push(stage),
            (Statement::Instruction(instruction), Some(stage)) => {
                stage.instructions.push(instruction)
            }
            (Statement::Instruction(Located { value: Instruction::Arg(more), .. }), None) => {
                args.extend(more)
            }
            (Statement::Instruction(instruction), None) => {
                let problem = Problem::BeforeFrom { keyword: instruction.keyword() };
                return Err(Error::new(&source, node.keyword.span, problem));
            }
        }
    }
    if stages.is_empty() {
        return Err(Error::new(&source, end, Problem::NoStage));
    }
    let directives = lines.directives;
    Ok(Dockerfile { directives, args, stages, source })
}

/// An instruction that came with a base image, and the text that its places are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub source: Source,
    pub instruction: Located<Instruction>,
}

/// Reads an `ONBUILD` of a base image's config. `name` is what messages call it.
pub fn parse_trigger(text: &str, name: &str) -> Result<Trigger> {
    let source = Source::new(name, text);
    let nodes = tree::read(&source, &mut Lines::without_directives(&source))?;
    let mut nodes = nodes.iter();
    let Some(node) = nodes.next() else {
        return Err(Error::new(&source, Span::default(), Problem::Empty));
    };
    if let Some(second) = nodes.next() {
        return Err(Error::new(&source, second.span, Problem::SecondTrigger));
    }
    match typed::statement(&source, node)? {
        Statement::Instruction(Located { value: Instruction::Onbuild(_), .. }) => {
            Err(Error::new(&source, node.keyword.span, Problem::Onbuild { keyword: "ONBUILD" }))
        }
        Statement::Instruction(Located { value: Instruction::Maintainer(_), .. }) => {
            Err(Error::new(&source, node.keyword.span, Problem::Onbuild { keyword: "MAINTAINER" }))
        }
        Statement::Instruction(instruction) => Ok(Trigger { source, instruction }),
        Statement::From(_) => {
            Err(Error::new(&source, node.keyword.span, Problem::Onbuild { keyword: "FROM" }))
        }
    }
}

impl Dockerfile {
    /// The last stage with this name, in any case of letters, among the first `before`: what a `FROM` means that is
    /// not an image. `COPY --from` and mounts look among all, and take a stage's number as well: [`Self::stage`].
    pub fn named_stage(&self, name: &str, before: usize) -> Option<usize> {
        let name = name.to_lowercase();
        let stages = &self.stages[..before.min(self.stages.len())];
        stages.iter().rposition(|stage| stage.name.as_ref().is_some_and(|own| **own == name))
    }

    /// The stage that a name or a number from 0 stands for.
    pub fn stage(&self, text: &str) -> Option<usize> {
        match text.parse::<usize>() {
            Ok(number) => (number < self.stages.len()).then_some(number),
            Err(_) => self.named_stage(text, self.stages.len()),
        }
    }
}
