//! `--output`

use super::fields::Fields;
use crate::error::Failure;
use knarr_packager::build::options::{Destination, Output};
use std::path::PathBuf;

/// What an output says besides where to.
#[derive(Debug, Default)]
pub struct More {
    pub push: bool,
    pub names: Vec<String>,
}

const TYPES: &str = "image, local, tar, oci, docker, registry, wasm-artifact";

pub fn parse(texts: &[String]) -> Result<(Vec<Output>, More), Failure> {
    let mut more = More::default();
    let mut outputs = Vec::new();
    let mut to_stdout = false;
    for text in texts {
        let output = one(text, &mut more)?;
        let destination = match &output {
            Output::Tar(to) | Output::Docker(to) | Output::Oci { to, .. } => Some(to),
            _ => None,
        };
        if destination == Some(&Destination::Stdout) && std::mem::replace(&mut to_stdout, true) {
            return Err(Failure::usage("two outputs cannot both go to standard output")
                .hint("give one of them dest=FILE"));
        }
        outputs.push(output);
    }
    Ok((outputs, more))
}

fn one(text: &str, more: &mut More) -> Result<Output, Failure> {
    let mut fields = Fields::parse("--output", text)?;
    // Docker's short forms: a folder, or - for an archive
    match fields.bare() {
        Some("-") => return Ok(Output::Tar(Destination::Stdout)),
        Some(folder) => return Ok(Output::Local(PathBuf::from(folder))),
        None => {}
    }
    let kind = fields.need(&["type"])?;
    let destination = |fields: &mut Fields| match fields.take(&["dest", "destination", "output"]) {
        Some(path) if path != "-" => Destination::Path(PathBuf::from(path)),
        _ => Destination::Stdout,
    };
    let names = |fields: &mut Fields, more: &mut More| {
        let names = fields.take(&["name"]).unwrap_or_default();
        more.names.extend(names.split(',').filter(|n| !n.is_empty()).map(str::to_owned));
    };
    let output = match kind.as_str() {
        "image" | "registry" => {
            names(&mut fields, more);
            let push = fields.take_switch("push")?.unwrap_or(kind == "registry");
            more.push |= push;
            Output::Image
        }
        "local" => Output::Local(PathBuf::from(fields.need(&["dest"])?)),
        "tar" => Output::Tar(destination(&mut fields)),
        "oci" => {
            names(&mut fields, more);
            let tar = fields.take_switch("tar")?.unwrap_or(true);
            let to = destination(&mut fields);
            if !tar && to == Destination::Stdout {
                return Err(Failure::usage("an OCI layout is a folder")
                    .hint("name it: --output type=oci,tar=false,dest=FOLDER"));
            }
            Output::Oci { to, tar }
        }
        "docker" => {
            names(&mut fields, more);
            match destination(&mut fields) {
                // as with buildx: without a file it is loaded
                Destination::Stdout if !text.contains("dest") => Output::Image,
                to => Output::Docker(to),
            }
        }
        "wasm-artifact" => {
            names(&mut fields, more);
            more.push |= fields.take_switch("push")?.unwrap_or(false);
            Output::WasmArtifact
        }
        other => {
            return Err(Failure::usage(format!("there is no output of type {other:?}"))
                .hint(format!("the types are {TYPES}")));
        }
    };
    fields.end("type, dest, name, push, tar")?;
    Ok(output)
}
