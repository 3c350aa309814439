//! What instructions make of an image's configuration, and how its history tells them. Each function returns that line.

use crate::dockerfile::Word;
use crate::dockerfile::ast::{Command, Healthcheck, KeyValue};
use knarr_core::duration;
use knarr_core::image::config::{self, ExecutionConfig};
use std::time::Duration;

/// A command as the configuration has it.
fn command(config: &ExecutionConfig, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(args) => args.clone(),
        Command::Shell(line) => {
            let shell = config.shell.clone();
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            shell.into_iter().chain([line.clone()]).collect()
        }
    }
}

pub fn cmd(config: &mut ExecutionConfig, cmd: &Command) -> String {
    let args = command(config, cmd);
    let text = format!("CMD {}", quoted(&args));
    config.cmd = Some(args);
    text
}

/// Takes the inherited `CMD` away, which was meant for another program.
pub fn entrypoint(config: &mut ExecutionConfig, entrypoint: &Command, has_cmd: bool) -> String {
    let args = command(config, entrypoint);
    let text = format!("ENTRYPOINT {}", quoted(&args));
    config.entrypoint = Some(args);
    if !has_cmd {
        config.cmd = None;
    }
    text
}

pub fn env(config: &mut ExecutionConfig, pairs: &[KeyValue]) -> String {
    let mut text = "ENV".to_owned();
    for pair in pairs {
        let entry = format!("{}={}", pair.key.value, pair.value.value);
        let prefix = format!("{}=", pair.key.value);
        // a variable that is set again keeps its place
        match config.env.iter_mut().find(|own| own.starts_with(&prefix)) {
            Some(own) => *own = entry.clone(),
            None => config.env.push(entry.clone()),
        }
        text += &format!(" {entry}");
    }
    text
}

pub fn label(config: &mut ExecutionConfig, pairs: &[KeyValue]) -> String {
    let mut text = "LABEL".to_owned();
    for pair in pairs {
        config.labels.insert(pair.key.value.clone(), pair.value.value.clone());
        text += &format!(" {}={}", pair.key.value, pair.value.value);
    }
    text
}

pub fn expose(config: &mut ExecutionConfig, mut ports: Vec<String>) -> String {
    ports.sort();
    let text = format!("EXPOSE [{}]", ports.join(" "));
    config.exposed_ports.extend(ports);
    config.exposed_ports.sort();
    config.exposed_ports.dedup();
    text
}

pub fn volume(config: &mut ExecutionConfig, paths: &[Word]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.value.clone()).collect();
    let text = format!("VOLUME [{}]", paths.join(" "));
    config.volumes.extend(paths);
    config.volumes.sort();
    config.volumes.dedup();
    text
}

/// What the configuration has of it.
pub fn health(check: &Healthcheck) -> config::Healthcheck {
    match check {
        Healthcheck::None => {
            config::Healthcheck { test: vec!["NONE".into()], ..config::Healthcheck::default() }
        }
        Healthcheck::Command { command, options } => {
            let test = match command {
                Command::Exec(args) => {
                    ["CMD".to_owned()].into_iter().chain(args.iter().cloned()).collect()
                }
                Command::Shell(line) => vec!["CMD-SHELL".into(), line.clone()],
            };
            config::Healthcheck {
                test,
                interval: nanoseconds(options.interval),
                timeout: nanoseconds(options.timeout),
                start_period: nanoseconds(options.start_period),
                start_interval: nanoseconds(options.start_interval),
                retries: options.retries.unwrap_or_default().into(),
            }
        }
    }
}

pub fn healthcheck(config: &mut ExecutionConfig, check: &Healthcheck) -> String {
    let health = health(check);
    let seconds = |nanoseconds| format!("{:?}", duration::show(nanoseconds));
    let text = format!(
        "HEALTHCHECK &{{{} {} {} {} {} '\\x{:02x}'}}",
        quoted(&health.test),
        seconds(health.interval),
        seconds(health.timeout),
        seconds(health.start_period),
        seconds(health.start_interval),
        health.retries,
    );
    config.healthcheck = Some(health);
    text
}

fn nanoseconds(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// As Go prints a list of strings with `%q`.
pub fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}
