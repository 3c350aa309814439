//! What a stage has set by the time an instruction comes, as far as that can be told without building.

use super::super::ast::{Instruction, Stage};
use super::super::expand::{Scope, expand};
use super::super::typed::Statement;
use super::from::global_scope;
use super::{Entry, Subject};
use std::collections::BTreeSet;

/// The state of a stage.
#[derive(Clone)]
pub struct State {
    pub scope: Scope,
    /// Arguments that are declared, with or without a value.
    pub declared: BTreeSet<String>,
    /// All variables are known: the stage starts from `scratch`, or its base image has been looked at.
    pub complete: bool,
    pub shell: bool,
    pub workdir: bool,
}

/// Calls `visit` with every instruction of every stage, and the stage's state before it.
pub fn walk<'a>(
    subject: &'a Subject<'_>,
    mut visit: impl FnMut(&'a Entry, &'a Instruction, &State),
) {
    let global = global_scope(subject, &subject.facts.build_args);
    let mut finished: Vec<State> = Vec::new();
    let mut current: Option<State> = None;
    for entry in &subject.entries {
        match (&entry.statement, &mut current) {
            (Statement::From(stage), _) => {
                finished.extend(current.take());
                current = Some(start(subject, stage, &global, &finished));
            }
            (Statement::Instruction(instruction), Some(state)) => {
                visit(entry, instruction, state);
                apply(subject, instruction, &global, state);
            }
            (Statement::Instruction(_), None) => {}
        }
    }
}

fn start(subject: &Subject<'_>, stage: &Stage, global: &Scope, finished: &[State]) -> State {
    let number = finished.len();
    let base = expand(&stage.base, global).map(|expansion| expansion.text).unwrap_or_default();
    if let Some(parent) = subject.dockerfile.named_stage(&base, number) {
        return finished[parent].clone();
    }
    let mut state = State {
        scope: Scope::new(subject.dockerfile),
        declared: BTreeSet::new(),
        complete: base == "scratch",
        shell: false,
        workdir: false,
    };
    // what every image has, and what a builder sets where an image lacks it
    state.scope.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if let Some(base) = subject.facts.bases.get(&number) {
        state.complete = true;
        state.shell = base.shell;
        for (name, value) in &base.env {
            state.scope.set(name.clone(), value.clone());
        }
    }
    state
}

fn apply(subject: &Subject<'_>, instruction: &Instruction, global: &Scope, state: &mut State) {
    match instruction {
        Instruction::Env(pairs) => {
            let before = state.scope.clone();
            let text =
                |word| expand(word, &before).map(|expansion| expansion.text).unwrap_or_default();
            for pair in pairs {
                state.scope.set(text(&pair.key), text(&pair.value));
            }
        }
        Instruction::Arg(args) => {
            let before = state.scope.clone();
            for arg in args {
                let name = arg.name.value.clone();
                let given = subject.facts.build_args.get(&name).cloned();
                let default = match &arg.default {
                    Some(default) => expand(default, &before).ok().map(|expansion| expansion.text),
                    None => global.get(&name).map(str::to_owned),
                };
                if let Some(value) = given.or(default) {
                    state.scope.set(name.clone(), value);
                }
                state.declared.insert(name);
            }
        }
        Instruction::Shell(_) => state.shell = true,
        Instruction::Workdir(_) => state.workdir = true,
        _ => {}
    }
}
