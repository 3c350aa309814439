//! `RUN`: what is executed, with which variables and mounts.

use super::args::{DEFAULT_PATH, proxies};
use super::config::quoted;
use super::instruction::{Stager, one_line, refused};
use super::{Operation, Origin, Run, RunMount, SCRIPTS, Script};
use crate::build::Error;
use crate::build::files::clean;
use crate::build::options::StepNetwork;
use crate::dockerfile::ast::{self, Program, RunNetwork, Security};
use crate::dockerfile::{Mount, Scope, Span};

impl Stager<'_, '_> {
    pub(super) fn run(&mut self, run: &ast::Run, scope: &Scope, span: Span) -> Result<(), Error> {
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
            Program::Script { .. } if is_wasm => {
                return Err(refused("RUN with a script", "a Wasm image has nothing to read it"));
            }
            Program::Script { name, text } => {
                let name = clean(name.as_bytes());
                let name = String::from_utf8_lossy(&name).into_owned();
                let path = format!("{SCRIPTS}/{name}");
                script = Some(Script { name, text });
                vec![path]
            }
        };
        let (env, shown) = self.environment(is_wasm);
        let history = shown.into_iter().chain(args.iter().cloned()).collect::<Vec<_>>().join(" ");
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
            let mount = self.mount(flag.resolve(scope)?, number)?;
            if mount.target() == Some("/") {
                return Err(refused("RUN --mount", "it would cover the whole root file system"));
            }
            mounts.push(mount);
        }
        let written = one_line(&written(run));
        let name = format!("RUN {written}");
        // a shell's failure is told with all that the shell was given
        let shown = if script.is_some() { written } else { args.join(" ") };
        let proxies = proxies(self.planner.options);
        let run = Run { args, shown, script, env, proxies, cwd, user, mounts, network };
        self.step(name, span, format!("RUN {history} # buildkit"), Operation::Run(Box::new(run)));
        Ok(())
    }

    /// The variables of a step, sorted, and how the history shows the arguments among them.
    fn environment(&self, is_wasm: bool) -> (Vec<(String, String)>, Vec<String>) {
        let mut env = std::collections::BTreeMap::new();
        let mut shown = Vec::new();
        for (name, value) in self.variables() {
            env.insert(name.to_owned(), value.to_owned());
        }
        for (name, _) in &self.declared {
            let value = env.get(name).map(String::as_str).unwrap_or_default();
            shown.push(format!("{name}={value}"));
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
}

/// The command as it is written; of a document that is all of it, the beginning.
fn written(run: &ast::Run) -> String {
    match (&run.command, run.document()) {
        (ast::Command::Exec(args), _) => quoted(args),
        (ast::Command::Shell(line), None) => line.clone(),
        (ast::Command::Shell(line), Some(document)) => {
            let text = document.content.trim();
            let first = text.lines().next().unwrap_or_default();
            let more = if text.lines().nth(1).is_some() { "..." } else { "" };
            format!("{line} ({first}{more})")
        }
    }
}
