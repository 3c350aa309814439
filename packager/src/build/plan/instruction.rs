//! Instructions: each changes what the next ones see, and may add a step.

use super::config;
use super::planner::{Declared, Planner};
use super::{Operation, PlannedHistory, StagePlan, Step};
use crate::build::Error;
use crate::dockerfile::ast::{Arg, Healthcheck};
use crate::dockerfile::{
    Excerpt, Instruction, Located, Scope, Source, Span, Trigger, expand, expose,
};

/// A stage that is being planned.
pub(super) struct Stager<'a, 'b> {
    pub(super) planner: &'a mut Planner<'b>,
    pub(super) plan: &'a mut StagePlan,
    pub(super) declared: Declared,
    /// `CMD` stands in this stage: an `ENTRYPOINT` after it leaves it.
    has_cmd: bool,
    /// The text that instructions come from; a trigger has its own.
    source: Source,
}

impl<'a, 'b> Stager<'a, 'b> {
    pub fn new(planner: &'a mut Planner<'b>, plan: &'a mut StagePlan, declared: Declared) -> Self {
        let source = planner.dockerfile.source.clone();
        Self { planner, plan, declared, has_cmd: false, source }
    }

    pub fn declared(self) -> Declared {
        self.declared
    }

    /// What a variable stands for here: `ENV` before `ARG`.
    fn scope(&self) -> Scope {
        let mut scope = Scope::new(self.planner.dockerfile);
        for (name, value) in &self.declared {
            if let Some(value) = value {
                scope.set(name.clone(), value.clone());
            }
        }
        for entry in &self.plan.config.config.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
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
                    Instruction::Env(pairs) => config::env(&mut config.config, pairs),
                    Instruction::Label(pairs) => config::label(&mut config.config, pairs),
                    Instruction::Expose(words) => {
                        config::expose(&mut config.config, expose::ports(words, scope)?)
                    }
                    Instruction::Healthcheck(check) => self.healthcheck(check),
                    Instruction::Maintainer(name) => {
                        config.author = Some(name.value.clone());
                        format!("MAINTAINER {}", name.value)
                    }
                    Instruction::Onbuild(onbuild) => {
                        config.config.on_build.push(onbuild.trigger.clone());
                        format!("ONBUILD {}", onbuild.trigger)
                    }
                    Instruction::Shell(shell) => {
                        config.config.shell = Some(shell.clone());
                        format!("SHELL [{}]", shell.join(" "))
                    }
                    Instruction::Stopsignal(signal) => {
                        config.config.stop_signal = Some(signal.value.clone());
                        format!("STOPSIGNAL {}", signal.value)
                    }
                    Instruction::User(user) => {
                        config.config.user = user.value.clone();
                        format!("USER {}", user.value)
                    }
                    Instruction::Volume(paths) => config::volume(&mut config.config, paths),
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
        self.plan.history.push(PlannedHistory { created_by: created_by + " # buildkit", step });
    }

    fn healthcheck(&mut self, check: &Healthcheck) -> String {
        config::healthcheck(&mut self.plan.config.config, check)
    }

    fn args(&mut self, args: &[Arg], scope: &Scope) -> Result<(), Error> {
        let mut scope = scope.clone();
        let mut shown = Vec::new();
        for arg in args {
            let name = expand(&arg.name, &scope)?.text;
            let default = match &arg.default {
                Some(word) => Some(expand(word, &scope)?.text),
                None => None,
            };
            self.planner.used.insert(name.clone());
            let given = self.planner.options.args.get(&name).cloned();
            let value = given.or_else(|| default.clone()).or_else(|| self.planner.outer(&name));
            if let (Some(value), false) = (&value, self.has_env(&name)) {
                scope.set(name.clone(), value.clone());
            }
            shown.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            match self.declared.iter_mut().find(|(own, _)| *own == name) {
                Some(declared) => declared.1 = value,
                None => self.declared.push((name, value)),
            }
        }
        self.note(format!("ARG {}", shown.join(" ")));
        Ok(())
    }

    pub(super) fn has_env(&self, name: &str) -> bool {
        let env = &self.plan.config.config.env;
        env.iter().any(|entry| entry.split_once('=').is_some_and(|(own, _)| own == name))
    }

    fn workdir(&mut self, path: &str, span: Span) {
        let path = self.absolute(path);
        let text = format!("WORKDIR {path}");
        self.plan.config.config.working_dir = path.clone();
        match path.as_str() {
            "/" => self.note(text),
            _ => self.step(text.clone(), span, text, Operation::Workdir { path }),
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
