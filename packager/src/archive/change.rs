//! `--change`: Dockerfile instructions that alter the configuration of an imported image.

use crate::dockerfile::{Instruction, parse_trigger};
use knarr_core::hint::Hint;
use knarr_core::image::config::{ExecutionConfig, Healthcheck};

/// An instruction that `--change` does not take.
#[derive(Debug, thiserror::Error)]
#[error("invalid change {change:?}: {reason}")]
pub struct InvalidChange {
    change: String,
    reason: String,
}

impl Hint for InvalidChange {
    fn hint(&self) -> Option<String> {
        Some(
            "a change is one of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, \
             WORKDIR, as in a Dockerfile: 'ENV KEY=value'"
                .into(),
        )
    }
}

/// Applies one instruction.
pub fn apply(config: &mut ExecutionConfig, change: &str) -> Result<(), InvalidChange> {
    let invalid =
        |reason: &str| InvalidChange { change: change.to_owned(), reason: reason.to_owned() };
    let (instruction, rest) = match change.trim().split_once(char::is_whitespace) {
        Some((instruction, rest)) => (instruction, rest.trim()),
        None => (change.trim(), ""),
    };
    if rest.is_empty() {
        return Err(invalid("it needs an argument"));
    }
    let pairs = || pairs(rest).map_err(|reason| invalid(&reason));
    let list = || match json_list(rest) {
        Some(list) => Ok(list),
        None => shell_words::split(rest).map_err(|e| invalid(&e.to_string())),
    };
    match instruction.to_ascii_uppercase().as_str() {
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)),
        "ENV" => {
            for (name, value) in pairs()? {
                let prefix = format!("{name}=");
                config.env.retain(|entry| !entry.starts_with(&prefix));
                config.env.push(prefix + &value);
            }
        }
        "LABEL" => config.labels.extend(pairs()?),
        "EXPOSE" => {
            for port in list()? {
                config.exposed_ports.extend(ports(&port).ok_or_else(|| invalid("invalid port"))?);
            }
            config.exposed_ports.sort();
            config.exposed_ports.dedup();
        }
        "VOLUME" => {
            config.volumes.extend(list()?);
            config.volumes.sort();
            config.volumes.dedup();
        }
        "USER" => config.user = rest.to_owned(),
        "WORKDIR" => {
            config.working_dir = match (rest.starts_with('/'), config.working_dir.as_str()) {
                (true, _) => rest.to_owned(),
                (false, base) => format!("{}/{rest}", base.trim_end_matches('/')),
            }
        }
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(change)?),
        _ => return Err(invalid("no such instruction for a change")),
    }
    Ok(())
}

/// As in a Dockerfile.
fn healthcheck(change: &str) -> Result<Healthcheck, InvalidChange> {
    let invalid = |reason: String| InvalidChange { change: change.to_owned(), reason };
    let read = parse_trigger(change, "--change").map_err(|e| invalid(e.to_string()))?;
    match &read.instruction.value {
        Instruction::Healthcheck(check) => Ok(crate::build::plan::healthcheck(check)),
        _ => Err(invalid("no such instruction for a change".into())),
    }
}

/// The exec form, else the shell form.
fn command(text: &str) -> Vec<String> {
    json_list(text).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), text.into()])
}

fn json_list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

/// `A=1 B="two words"`, or the old form `A the rest`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = shell_words::split(text).map_err(|e| e.to_string())?;
    let first = words.first().ok_or("it needs an argument")?;
    if !first.contains('=') {
        let value = text.split_once(char::is_whitespace).map(|(_, value)| value.trim());
        let value = value.ok_or("NAME=value is expected")?;
        return Ok(vec![(first.clone(), value.to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("NAME=value is expected, not {word:?}")),
    };
    words.iter().map(pair).collect()
}

/// `80`, `53/udp`, `8000-8002`
fn ports(text: &str) -> Option<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last)
        .then(|| (first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> ExecutionConfig {
        let mut config = ExecutionConfig::default();
        for change in changes {
            apply(&mut config, change).unwrap();
        }
        config
    }

    #[test]
    fn every_instruction() {
        let config = changed(&[
            r#"CMD ["a", "b c"]"#,
            "entrypoint run --fast",
            "ENV A=1 B=\"two words\"",
            "ENV A=3",
            "ENV OLD the old form",
            "LABEL org.example.x=\"y z\"",
            "EXPOSE 80 53/udp 8000-8001",
            "VOLUME /data /more",
            r#"VOLUME ["/a b"]"#,
            "USER 1000:1000",
            "WORKDIR /srv/",
            "WORKDIR app",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN make",
            "HEALTHCHECK --interval=5s --retries=2 CMD curl -f localhost",
        ]);
        let health = config.healthcheck.unwrap();
        assert_eq!(health.test, ["CMD-SHELL", "curl -f localhost"]);
        assert_eq!((health.interval, health.retries), (5_000_000_000, 2));
        assert_eq!(changed(&["HEALTHCHECK NONE"]).healthcheck.unwrap().test, ["NONE"]);
        let exec = changed(&[r#"healthcheck CMD ["a", "b c"]"#]).healthcheck.unwrap();
        assert_eq!(exec.test, ["CMD", "a", "b c"]);
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run --fast"]);
        assert_eq!(config.env, ["B=two words", "A=3", "OLD=the old form"]);
        assert_eq!(config.labels["org.example.x"], "y z");
        assert_eq!(config.exposed_ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
        assert_eq!(config.volumes, ["/a b", "/data", "/more"]);
        assert_eq!(config.user, "1000:1000");
        assert_eq!(config.working_dir, "/srv/app");
        assert_eq!(config.stop_signal.unwrap(), "SIGINT");
        assert_eq!(config.on_build, ["RUN make"]);
    }

    #[test]
    fn what_is_refused() {
        for change in [
            "",
            "CMD",
            "RUN make",
            "EXPOSE x",
            "EXPOSE 9-8",
            "EXPOSE 1/icmp",
            "ENV A",
            "ENV =1",
            "HEALTHCHECK x",
        ] {
            assert!(apply(&mut ExecutionConfig::default(), change).is_err(), "{change:?}");
        }
    }
}
