//! Instructions: each changes what the next ones see, and may add a step.

use super::args::{DEFAULT_PATH, is_proxy, proxies};
use super::config::{self, quoted};
use super::planner::{Declared, Planner};
use super::{Copy, CopySource, Operation, Origin, PlannedHistory, Run, RunMount, StagePlan, Step};
use crate::build::Error;
use crate::build::options::StepNetwork;
use crate::build::steps::mode::ChangeMode;
use crate::dockerfile::ast::{
    self, Add, Arg, CopyOptions, Healthcheck, Program, RunNetwork, Security,
};
use crate::dockerfile::{
    Excerpt, Instruction, Located, Mount, Scope, Source, Span, Trigger, expand, expose,
};

/// A stage that is being planned.
pub(super) struct Stager<'a, 'b> {
    planner: &'a mut Planner<'b>,
    plan: &'a mut StagePlan,
    declared: Declared,
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

    fn step(&mut self, name: String, span: Span, created_by: String, operation: Operation) {
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

    fn has_env(&self, name: &str) -> bool {
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
    fn absolute(&self, path: &str) -> String {
        let base = self.plan.config.config.working_dir.as_str();
        let whole = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{base}/{path}"),
        };
        let clean = crate::build::files::clean(whole.as_bytes());
        format!("/{}", String::from_utf8_lossy(&clean))
    }

    fn run(&mut self, run: &ast::Run, scope: &Scope, span: Span) -> Result<(), Error> {
        if run.security == Security::Insecure {
            return Err(refused(
                "RUN --security=insecure",
                "no step gets more rights than a container",
            ));
        }
        if let Some(device) = run.devices.first() {
            let option = format!("RUN --device={}", device.value);
            return Err(Error::Refused { option, reason: "steps have no devices of the host" });
        }
        let config = &self.plan.config.config;
        let is_wasm = self.plan.platform.is_wasm();
        let shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        let mut script = None;
        let args = match run.program() {
            Program::Exec(args) => args,
            Program::Shell(text) if is_wasm && config.shell.is_none() => {
                // a Wasm image has no shell: the line is what its module is given, as in `knarr run IMAGE …`
                let words = shell_words::split(&text).map_err(|e| Error::Value {
                    instruction: "RUN",
                    value: text.clone(),
                    reason: e.to_string(),
                })?;
                let names_module = words.first().is_some_and(|w| w.contains(".wasm"));
                let module = if names_module { None } else { config.entrypoint.clone() };
                module.unwrap_or_default().into_iter().chain(words).collect()
            }
            Program::Shell(text) => shell.into_iter().chain([text]).collect(),
            Program::Script { name, text } => {
                let path = format!("/dev/pipes/{name}");
                script = Some((path.clone(), text));
                vec![path]
            }
        };
        let (env, shown) = self.environment(is_wasm);
        let shown = shown.into_iter().chain(args.iter().cloned()).collect::<Vec<_>>().join(" ");
        let cwd = match config.working_dir.as_str() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let user = config.user.clone();
        let network = match run.network {
            RunNetwork::Default => self.planner.options.network.clone(),
            RunNetwork::None => StepNetwork::None,
            RunNetwork::Host => StepNetwork::Host,
        };
        let mut mounts = Vec::new();
        for (number, flag) in run.mounts.iter().enumerate() {
            mounts.push(self.mount(flag.resolve(scope)?, number)?);
        }
        let name = match &script {
            Some((path, _)) => format!("RUN {path}"),
            None => format!("RUN {}", one_line(&args_shown(run, &args))),
        };
        let proxies = proxies(self.planner.options);
        let run = Run { args, script, env, proxies, cwd, user, mounts, network };
        self.step(name, span, format!("RUN {shown}"), Operation::Run(Box::new(run)));
        Ok(())
    }

    /// The variables of a step, sorted, and how the history shows the arguments among them.
    fn environment(&self, is_wasm: bool) -> (Vec<(String, String)>, Vec<String>) {
        let config = &self.plan.config.config;
        let mut env = std::collections::BTreeMap::new();
        let mut shown = Vec::new();
        for (name, value) in &self.declared {
            let Some(value) = value else { continue };
            if !self.has_env(name) {
                env.insert(name.clone(), value.clone());
            }
            if !is_proxy(name) {
                shown.push(format!("{name}={value}"));
            }
        }
        env.retain(|name, _| !is_proxy(name));
        for entry in &config.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            env.insert(name.to_owned(), value.to_owned());
        }
        if !is_wasm {
            env.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
        }
        if !shown.is_empty() {
            shown.insert(0, format!("|{}", shown.len()));
        }
        (env.into_iter().collect(), shown)
    }

    fn mount(&mut self, mount: Mount, number: usize) -> Result<RunMount, Error> {
        let platform = self.plan.platform.clone();
        Ok(match mount {
            Mount::Bind { from, source, target, read_only } => RunMount::Bind {
                origin: match from {
                    None => Origin::Context,
                    Some(name) => self.planner.origin(&name, &platform)?,
                },
                source,
                target: self.absolute(&target),
                read_only,
            },
            Mount::Cache { id, from, source, target, read_only, sharing, owner } => {
                let target = self.absolute(&target);
                RunMount::Cache {
                    id: id.unwrap_or_else(|| target.clone()),
                    origin: match from {
                        None => None,
                        Some(name) => Some(self.planner.origin(&name, &platform)?),
                    },
                    source,
                    target,
                    read_only,
                    sharing,
                    owner,
                }
            }
            Mount::Tmpfs { target, size, .. } => {
                RunMount::Tmpfs { target: self.absolute(&target), size }
            }
            Mount::Secret { id, target, env, required, owner } => RunMount::Secret {
                target: target.map(|target| self.absolute(&target)),
                id,
                env,
                required,
                owner,
            },
            Mount::Ssh { id, target, required, owner } => RunMount::Ssh {
                id,
                target: match target {
                    Some(target) => self.absolute(&target),
                    None => format!("/run/buildkit/ssh_agent.{number}"),
                },
                required,
                owner,
            },
        })
    }

    fn copy(&mut self, copy: &ast::Copy, span: Span) -> Result<(), Error> {
        let platform = self.plan.platform.clone();
        let origin = match &copy.from {
            None => Origin::Context,
            Some(name) => self.planner.origin(name, &platform)?,
        };
        let sources = copy.sources.iter().map(plain_source).collect();
        let flags = copy.from.as_ref().map(|from| format!("--from={}", from.value));
        let planned = self.planned_copy(sources, origin, &copy.destination, &copy.options)?;
        let planned = Copy { parents: copy.parents, ..planned };
        self.copy_step("COPY", flags, planned, &copy.destination, span);
        Ok(())
    }

    fn add(&mut self, add: &Add, span: Span) -> Result<(), Error> {
        let checksum = add.checksum.as_ref().map(|word| word.value.clone());
        let mut sources = Vec::new();
        for source in &add.sources {
            sources.push(match plain_source(source) {
                CopySource::Path(text) if crate::build::remote::is_git(&text) => CopySource::Git {
                    url: text,
                    keep_git_dir: add.keep_git_dir.unwrap_or(false),
                    checksum: checksum.clone(),
                },
                CopySource::Path(text) if crate::build::remote::is_url(&text) => {
                    CopySource::Url { url: text, checksum: checksum.clone() }
                }
                other => other,
            });
        }
        let is_remote =
            |s: &CopySource| matches!(s, CopySource::Git { .. } | CopySource::Url { .. });
        if checksum.is_some() && (sources.len() != 1 || !is_remote(&sources[0])) {
            return Err(refused("ADD --checksum", "it is about one URL or one git repository"));
        }
        let planned =
            self.planned_copy(sources, Origin::Context, &add.destination, &add.options)?;
        let planned = Copy {
            unpack: add.unpack.unwrap_or(true),
            unpack_downloads: add.unpack.unwrap_or(false),
            ..planned
        };
        self.copy_step("ADD", None, planned, &add.destination, span);
        Ok(())
    }

    /// All files of a named context: what `FROM` of one means.
    pub fn whole_context(&mut self, name: &str, span: Span) {
        let copy = Copy {
            sources: vec![CopySource::Path("/".into())],
            origin: Origin::Named(name.to_owned()),
            destination: "/".into(),
            into_directory: true,
            chown: None,
            chmod: None,
            exclude: Vec::new(),
            parents: false,
            link: false,
            unpack: false,
            unpack_downloads: false,
        };
        let text = format!("COPY --from={name} / /");
        self.step(text.clone(), span, text, Operation::Copy(Box::new(copy)));
    }

    fn planned_copy(
        &self,
        sources: Vec<CopySource>,
        origin: Origin,
        destination: &str,
        options: &CopyOptions,
    ) -> Result<Copy, Error> {
        let last = destination.rsplit('/').next().unwrap_or_default();
        let into_directory = matches!(last, "" | "." | "..");
        if sources.len() > 1 && !into_directory {
            return Err(Error::NotAFolder { destination: destination.to_owned() });
        }
        Ok(Copy {
            sources,
            origin,
            destination: self.absolute(destination),
            into_directory,
            chown: options.chown.as_ref().map(|w| w.value.clone()).filter(|w| !w.is_empty()),
            chmod: match &options.chmod {
                Some(mode) if !mode.is_empty() => Some(ChangeMode::parse(mode)?),
                _ => None,
            },
            exclude: options.exclude.iter().map(|word| word.value.clone()).collect(),
            parents: false,
            link: options.link,
            unpack: false,
            unpack_downloads: false,
        })
    }

    fn copy_step(
        &mut self,
        keyword: &str,
        flags: Option<String>,
        copy: Copy,
        destination: &str,
        span: Span,
    ) {
        let mut words: Vec<String> = vec![keyword.to_owned()];
        let mut shown = words.clone();
        shown.extend(flags);
        if let Some(owner) = &copy.chown {
            words.push(format!("--chown={owner}"));
            shown.push(format!("--chown={owner}"));
        }
        if copy.link {
            words.push("--link".into());
            shown.push("--link".into());
        }
        for source in &copy.sources {
            let text = match source {
                CopySource::Path(text) => text.clone(),
                CopySource::Document { name, .. } => name.clone(),
                CopySource::Url { url, .. } | CopySource::Git { url, .. } => url.clone(),
            };
            words.push(text.clone());
            shown.push(text);
        }
        words.push(destination.to_owned());
        shown.push(destination.to_owned());
        self.step(shown.join(" "), span, words.join(" "), Operation::Copy(Box::new(copy)));
    }
}

fn plain_source(source: &ast::CopySource) -> CopySource {
    match source {
        ast::CopySource::Path(word) => CopySource::Path(word.value.clone()),
        ast::CopySource::Document(document) => {
            CopySource::Document { name: document.name.clone(), text: document.text() }
        }
    }
}

fn refused(option: &str, reason: &'static str) -> Error {
    Error::Refused { option: option.to_owned(), reason }
}

/// How progress shows the command: as it is written.
fn args_shown(run: &ast::Run, args: &[String]) -> String {
    match &run.command {
        ast::Command::Shell(line) if run.heredocs.is_empty() => line.clone(),
        ast::Command::Shell(_) => args.last().cloned().unwrap_or_default(),
        ast::Command::Exec(args) => quoted(args),
    }
}

/// A text on one line, blanks squeezed.
pub(super) fn one_line(text: &str) -> String {
    let joined = text.replace("\\\n", " ");
    joined.split_whitespace().collect::<Vec<_>>().join(" ")
}
