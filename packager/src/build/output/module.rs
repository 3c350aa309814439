//! The Wasm module that an image starts.

use super::Variant;
use crate::build::Error;
use crate::build::content::Key;
use crate::build::execute::Build;
use crate::build::files::{Files, clean, components};
use crate::wasm::{self, ModuleReport};
use knarr_core::image::config::ExecutionConfig;
use knarr_core::sys;
use std::io::Read;

pub struct Module {
    /// Its file name.
    pub name: String,
    pub binary: Vec<u8>,
    pub report: ModuleReport,
}

/// The module that is the image's entrypoint, validated; `None` if it is something else. Looked for in images made from
/// scratch, and where the platform is Wasm.
pub fn find(build: &Build, variant: &Variant) -> Result<Option<Module>, Error> {
    let target = variant.plan.target();
    if !target.from_scratch && !target.platform.is_wasm() {
        return Ok(None);
    }
    let config = &target.config.config;
    let Some(program) = program(config) else { return Ok(None) };
    if !target.platform.is_wasm() && program.starts_with("/bin/sh") {
        return Ok(None);
    }
    let state = variant.finished.target();
    let trees = build.trees(state)?;
    let files = Files::Layers(trees);
    let failed = |source| Error::Content {
        operation: "read",
        path: program.to_owned(),
        place: "of the image".into(),
        source,
    };
    for path in candidates(program, config) {
        let Some(found) = files.resolve(&path, true).map_err(failed)? else { continue };
        let Some((_place, entry)) = files.entry(&found.path).map_err(failed)? else { continue };
        if found.is_directory || sys::look(&entry.real).map_err(failed)?.0.special.is_some() {
            continue;
        }
        let mut file = sys::open_itself(&entry.real).map_err(failed)?;
        let mut binary = vec![0; 4];
        if file.read_exact(&mut binary).is_err() || !wasm::is_wasm(&binary) {
            return Ok(None);
        }
        file.read_to_end(&mut binary).map_err(failed)?;
        let name = components(&path).last().map(crate::build::files::lossy).unwrap_or_default();
        let mut key = Key::new("module");
        key.bytes(knarr_core::store::digest_of(&binary).as_ref().as_bytes());
        let report = build.cache.report(&key.finish(), || Ok(wasm::inspect(&name, &binary)?))?;
        return Ok(Some(Module { name, binary, report }));
    }
    Ok(None)
}

/// The first word of what the image runs.
fn program(config: &ExecutionConfig) -> Option<&str> {
    let entrypoint = config.entrypoint.as_ref().and_then(|words| words.first());
    let first = entrypoint.or_else(|| config.cmd.as_ref().and_then(|words| words.first()));
    first.map(String::as_str)
}

/// Where a program may be: as Knarr looks for it when it runs the image.
fn candidates(program: &str, config: &ExecutionConfig) -> Vec<Vec<u8>> {
    // `/app.wasm#function`
    let name = match program.rsplit_once('#') {
        Some((file, _)) if file.ends_with(".wasm") => file,
        _ => program,
    };
    let in_folder = |folder: &str| clean(format!("{folder}/{name}").as_bytes());
    if name.starts_with('/') {
        return vec![clean(name.as_bytes())];
    }
    let mut candidates = Vec::new();
    if !name.contains('/') {
        let path = config.env.iter().find_map(|entry| entry.strip_prefix("PATH="));
        candidates.extend(path.unwrap_or_default().split(':').map(in_folder));
    }
    candidates.push(in_folder(&config.working_dir));
    candidates
}
