//! Wasm modules are compiled when their image arrives, so that no container waits for it.

use crate::error::Failure;
use crate::ui::{self, units};
use knarr_core::hint::Hint;
use knarr_core::image::{ImageConfig, Variant};
use knarr_core::store::snapshot::{self, Snapshot};
use knarr_core::store::{Image, Store};
use knarr_runtime::engine::wasm::{self, Progress};
use std::path::{Path, PathBuf};

/// Modules above this many bytes take long enough to say so.
const LARGE: u64 = 1 << 20;

/// Compiles the programs of the Wasm variants that are in the store. The image is there in any case, and
/// running it would tell the same: what goes wrong is a warning.
pub fn image(store: &Store, image: &Image, quiet: bool) {
    let variants = match store.variants(image) {
        Ok(variants) => variants,
        Err(error) => return warn(image, &error.into()),
    };
    for variant in variants.iter().filter(|v| v.present && v.platform.is_wasm()) {
        if let Err(failure) = compile(store, variant, quiet) {
            warn(image, &failure);
        }
    }
}

fn warn(image: &Image, failure: &Failure) {
    let name = image.display_name();
    let hint = failure.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    ui::warning(format_args!("cannot compile {name} yet: {}{hint}", failure.messages.join(": ")));
}

fn compile(store: &Store, variant: &Variant, quiet: bool) -> Result<(), Failure> {
    let manifest = store.manifest(&variant.manifest)?;
    let config = store.config(&manifest)?;
    let layers = store.unpack(&manifest, &config)?;
    let nowhere = PathBuf::from("/nonexistent");
    let snapshot = Snapshot {
        lower: layers.iter().rev().map(|chain| store.layer_path(chain)).collect(),
        upper: nowhere.clone(),
        work: nowhere.clone(),
        target: nowhere,
    };
    let found = candidates(&config)
        .into_iter()
        .find_map(|path| snapshot::locate(&snapshot, Path::new(&path)).map(|(file, _)| file));
    // a program that comes by volume, or that the command names
    let Some(module) = found else { return Ok(()) };
    wasm::precompile(store.root(), &module, &mut |event| {
        if !quiet {
            report(&event);
        }
    })?;
    Ok(())
}

/// Tells of the imports of a module without which it will not start.
pub fn warn_of_missing(path: &str, imports: &[String]) {
    for error in imports.iter().filter_map(|import| wasm::missing(path, import)) {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        ui::warning(format_args!("{error}{hint}"));
    }
}

fn report(event: &Progress) {
    match event {
        Progress::Compiling { path, bytes } if *bytes > LARGE => {
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            ui::note(format_args!("Compiling {name} ({}) for this machine", units::size(*bytes)));
        }
        Progress::Compiled { milliseconds, .. } if *milliseconds > 1000 => {
            ui::note(format_args!("Compiled in {:.1} s", *milliseconds as f64 / 1000.0));
        }
        _ => {}
    }
}

/// Where the image's program may be: as the engine searches it.
fn candidates(config: &ImageConfig) -> Vec<String> {
    let execution = &config.config;
    let words = [&execution.entrypoint, &execution.cmd];
    let word = words.into_iter().find_map(|words| words.as_ref()?.first());
    let Some(word) = word else { return Vec::new() };
    let name = word.rsplit_once('#').map_or(word.as_str(), |(name, _)| name);
    let directory = format!("/{}", execution.working_dir.trim_matches('/'));
    let within = |directory: &str| format!("{}/{name}", directory.trim_end_matches('/'));
    if name.starts_with('/') {
        return vec![name.to_owned()];
    }
    if name.contains('/') {
        return vec![within(&directory)];
    }
    let path = execution.env.iter().rev().find_map(|v| v.strip_prefix("PATH=")).unwrap_or("");
    let folders = path.split(':').filter(|d| d.starts_with('/'));
    folders.chain([directory.as_str()]).map(within).collect()
}
