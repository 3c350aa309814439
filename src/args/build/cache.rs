//! `--cache-from`, `--cache-to`

use super::fields::Fields;
use crate::error::Failure;
use knarr_packager::build::options::{CacheMode, CacheSource, CacheTarget};
use std::path::PathBuf;

pub fn sources(texts: &[String]) -> Result<Vec<CacheSource>, Failure> {
    texts.iter().map(|text| source(text)).collect()
}

fn source(text: &str) -> Result<CacheSource, Failure> {
    let mut fields = Fields::parse("--cache-from", text)?;
    if let Some(name) = fields.bare() {
        return Ok(CacheSource::Registry(name.parse()?));
    }
    let source = match fields.need(&["type"])?.as_str() {
        "registry" => CacheSource::Registry(fields.need(&["ref"])?.parse()?),
        "local" => CacheSource::Local(PathBuf::from(fields.need(&["src", "source"])?)),
        other => return Err(unknown("--cache-from", other, "registry and local")),
    };
    fields.end("type, ref, src")?;
    Ok(source)
}

pub fn targets(texts: &[String]) -> Result<Vec<CacheTarget>, Failure> {
    texts.iter().map(|text| target(text)).collect()
}

fn target(text: &str) -> Result<CacheTarget, Failure> {
    let mut fields = Fields::parse("--cache-to", text)?;
    if let Some(name) = fields.bare() {
        return match name {
            "inline" => Ok(CacheTarget::Inline),
            name => Ok(CacheTarget::Registry { reference: name.parse()?, mode: CacheMode::Min }),
        };
    }
    let kind = fields.need(&["type"])?;
    let mode = match fields.take(&["mode"]).as_deref() {
        None | Some("min") => CacheMode::Min,
        Some("max") => CacheMode::Max,
        Some(other) => {
            return Err(fields.wrong(format!("mode={other}")).hint("the modes are min and max"));
        }
    };
    let target = match kind.as_str() {
        "registry" => CacheTarget::Registry { reference: fields.need(&["ref"])?.parse()?, mode },
        "local" => CacheTarget::Local {
            folder: PathBuf::from(fields.need(&["dest", "destination"])?),
            mode,
        },
        "inline" => CacheTarget::Inline,
        other => return Err(unknown("--cache-to", other, "registry, local and inline")),
    };
    fields.end("type, ref, dest, mode")?;
    Ok(target)
}

fn unknown(option: &str, kind: &str, known: &str) -> Failure {
    Failure::usage(format!("{option} knows no type {kind:?}"))
        .hint(format!("the types are {known}; a registry works from everywhere"))
}
