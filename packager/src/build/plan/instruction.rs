//! Instructions: each changes what the next ones see, and may add a step.

use super::config;
use super::planner::{Declared, Planner};
use super::valid;
use super::{Operation, PlannedHistory, StagePlan, Step};
use crate::build::Error;
use crate::dockerfile::ast::Arg;
use crate::dockerfile::{
    Excerpt, Instruction, Located, Scope, Source, Span, Trigger, expand, expose,
};
use std::collections::BTreeSet;

/// A stage that is being planned.
pub(super) struct Stager<'a, 'b> {
    pub(super) planner: &'a mut Planner<'b>,
    pub(super) plan: &'a mut StagePlan,
    pub(super) declared: Declared,
    /// Arguments that stand after an `ENV` of their name, an inherited one as well: the later of the two counts.
    newer: BTreeSet<String>,
    /// `CMD` stands in this stage: an `ENTRYPOINT` after it leaves it.
    has_cmd: bool,
    /// The text that instructions come from; a trigger has its own.
    source: Source,
}

impl<'a, 'b> Stager<'a, 'b> {
    pub fn new(planner: &'a mut Planner<'b>, plan: &'a mut StagePlan, declared: Declared) -> Self {
        let source = planner.dockerfile.source.clone();
        Self { planner, plan, declared, newer: BTreeSet::new(), has_cmd: false, source }
    }

    pub fn declared(self) -> Declared {
        self.declared
    }

    /// The variables that are set here; the last of one name counts.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let env = self.plan.config.config.env.iter();
        let env = env.map(|entry| entry.split_once('=').unwrap_or((entry, "")));
        let args = self.declared.iter();
        let args = args.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        let newer = args.clone().filter(|(name, _)| self.newer.contains(*name));
        args.chain(env).chain(newer)
    }

    fn scope(&self) -> Scope {
        let mut scope = Scope::new(self.planner.dockerfile);
        for (name, value) in self.variables() {
            scope.set(name, value);
        }
        scope
    }

    pub fn trigger(&mut self, trigger: &Trigger) -> Result<(), Error> {
        let own = std::mem::replace(&mut self.source, trigger.source.clone());
        let scope = self.scope().for_trigger(&trigger.source);
        let result = self.expanded(&trigger.instruction, &scope);
        self.source = own;
        result
    }

    pub fn instruction(&mut self, instruction: &Located<Instruction>) -> Result<(), Error> {
        let scope = self.scope();
        self.expanded(instruction, &scope)
    }

    fn expanded(&mut self, located: &Located<Instruction>, scope: &Scope) -> Result<(), Error> {
        let span = located.span;
        let instruction = located.value.expanded(scope)?;
        let result = self.apply(&instruction, scope, span);
        result.map_err(|error| match error {
            Error::Instruction { .. } | Error::Dockerfile(_) => error,
            error => Error::Instruction {
                instruction: one_line(self.source.slice(span)),
                excerpt: Box::new(Excerpt::new(&self.source, span)),
                source: Box::new(error),
            },
        })
    }

    fn apply(&mut self, instruction: &Instruction, scope: &Scope, span: Span) -> Result<(), Error> {
        match instruction {
            Instruction::Run(run) => self.run(run, scope, span),
            Instruction::Copy(copy) => self.copy(copy, span),
            Instruction::Add(add) => self.add(add, span),
            Instruction::Arg(args) => self.args(args, scope),
            Instruction::Workdir(path) => {
                self.workdir(path, span);
                Ok(())
            }
            other => {
                let config = &mut self.plan.config;
                let text = match other {
                    Instruction::Cmd(command) => {
                        self.has_cmd = true;
                        config::cmd(&mut config.config, command)
                    }
                    Instruction::Entrypoint(command) => {
                        config::entrypoint(&mut config.config, command, self.has_cmd)
                    }
                    Instruction::Env(pairs) => {
                        valid::names("ENV", pairs)?;
                        for pair in pairs {
                            self.newer.remove(&pair.key.value);
                        }
                        config::env(&mut config.config, pairs)
                    }
                    Instruction::Label(pairs) => {
                        valid::names("LABEL", pairs)?;
                        config::label(&mut config.config, pairs)
                    }
                    Instruction::Expose(words) => {
                        config::expose(&mut config.config, expose::ports(words, scope)?)
                    }
                    Instruction::Healthcheck(check) => {
                        config::healthcheck(&mut config.config, check)
                    }
                    Instruction::Maintainer(name) => {
                        config.author = Some(name.value.clone());
                        format!("MAINTAINER {}", name.value)
                    }
                    Instruction::Onbuild(onbuild) => {
                        // no line of the history, as with BuildKit
                        config.config.on_build.push(onbuild.trigger.clone());
                        return Ok(());
                    }
                    Instruction::Shell(shell) => {
                        valid::shell(shell)?;
                        config.config.shell = Some(shell.clone());
                        format!("SHELL [{}]", shell.join(" "))
                    }
                    Instruction::Stopsignal(signal) => {
                        valid::signal(signal)?;
                        config.config.stop_signal = Some(signal.value.clone());
                        format!("STOPSIGNAL {}", signal.value)
                    }
                    Instruction::User(user) => {
                        valid::user(user)?;
                        config.config.user = user.value.clone();
                        format!("USER {}", user.value)
                    }
                    Instruction::Volume(paths) => {
                        valid::volumes(paths)?;
                        config::volume(&mut config.config, paths)
                    }
                    _ => return Ok(()),
                };
                self.note(text);
                Ok(())
            }
        }
    }

    /// A line of the history without a layer.
    fn note(&mut self, created_by: String) {
        self.plan.history.push(PlannedHistory { created_by, step: None });
    }

    pub(super) fn step(
        &mut self,
        name: String,
        span: Span,
        created_by: String,
        operation: Operation,
    ) {
        let source = self.source.clone();
        self.plan.steps.push(Step { name, source, span, operation });
        let step = Some(self.plan.steps.len() - 1);
        self.plan.history.push(PlannedHistory { created_by, step });
    }

    fn args(&mut self, args: &[Arg], scope: &Scope) -> Result<(), Error> {
        let mut shown = Vec::new();
        for arg in args {
            // as written in the reference: a variable has one value for a whole instruction
            let name = expand(&arg.name, scope)?.text;
            let default = match &arg.default {
                Some(word) => Some(expand(word, scope)?.text),
                None => None,
            };
            self.planner.used.insert(name.clone());
            let given = self.planner.options.args.get(&name).cloned();
            let value = given.or_else(|| default.clone()).or_else(|| self.planner.outer(&name));
            if value.is_some() {
                self.newer.insert(name.clone());
            }
            shown.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            match self.declared.iter_mut().find(|(own, _)| *own == name) {
                // one without a value leaves what there is
                Some(declared) => declared.1 = value.or(declared.1.take()),
                None => self.declared.push((name, value)),
            }
        }
        self.note(format!("ARG {}", shown.join(" ")));
        Ok(())
    }

    fn workdir(&mut self, path: &str, span: Span) {
        let path = self.absolute(path);
        let text = format!("WORKDIR {path}");
        self.plan.config.config.working_dir = path.clone();
        match path.as_str() {
            "/" => self.note(text),
            _ => {
                let user = self.plan.config.config.user.clone();
                self.step(text.clone(), span, text, Operation::Workdir { path, user });
            }
        }
    }

    /// A path in the image, relative to the working directory.
    pub(super) fn absolute(&self, path: &str) -> String {
        let base = self.plan.config.config.working_dir.as_str();
        let whole = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{base}/{path}"),
        };
        let clean = crate::build::files::clean(whole.as_bytes());
        format!("/{}", String::from_utf8_lossy(&clean))
    }
}

pub(super) fn refused(option: &str, reason: &'static str) -> Error {
    Error::Refused { option: option.to_owned(), reason }
}

/// A text on one line, blanks squeezed.
pub(super) fn one_line(text: &str) -> String {
    let joined = text.replace("\\\n", " ");
    joined.split_whitespace().collect::<Vec<_>>().join(" ")
}
