//! `--output type=local` and `type=tar`: the files of the last stage.

use super::{Variant, into};
use crate::build::Error;
use crate::build::execute::Build;
use crate::build::files::Files;
use crate::build::options::Destination;
use crate::build::steps::copy::{Clock, Copying};
use crate::build::steps::target::Target;
use crate::build::walk::{Match, Source};
use knarr_core::fsx;
use knarr_core::store;
use std::path::Path;

/// Writes them into a folder, over what is there. With several platforms each has a folder in it.
pub fn local(build: &Build, variants: &[Variant], folder: &Path) -> Result<(), Error> {
    let vertex = build.report.internal("exporting to client directory");
    build.report.watch(vertex, || {
        for variant in variants {
            let into = match variants.len() {
                1 => folder.to_owned(),
                _ => folder.join(variant.plan.platform.to_string().replace('/', "_")),
            };
            fsx::create_dir_all(&into)?;
            copy(build, variant, &into)?;
        }
        Ok(())
    })
}

/// They belong to whoever builds, as with BuildKit: owners of an image mean nothing outside it.
fn copy(build: &Build, variant: &Variant, into: &Path) -> Result<(), Error> {
    let files = Files::Layers(build.trees(variant.finished.target())?);
    let source = Source { files: &files, ignored: None, label: "the image", is_context: false };
    let layer = build.store.build_layer()?;
    let mut target = Target::of_folder(into)?;
    target.replaces = true;
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let mut copying = Copying {
        target: &mut target,
        layer: &layer,
        destination: Vec::new(),
        into_directory: true,
        owner: Some((user, group)),
        mode: None,
        exclude: None,
        clock: Clock { rewrites: true, ..build.clock },
        unpacked: 0,
    };
    let all = Match::root();
    match variant.finished.target().layers.is_empty() {
        true => Ok(()),
        false => copying.take(&source, &all, false),
    }
}

/// Writes them as a tar archive; with several platforms each in a folder of its own.
pub fn tar(build: &Build, variants: &[Variant], to: &Destination) -> Result<(), Error> {
    let vertex = build.report.internal("exporting to tar");
    build.report.watch(vertex, || {
        let scratch = build.store.build_layer()?;
        let tree = scratch.scratch("tar")?;
        for variant in variants {
            let folder = match variants.len() {
                1 => tree.clone(),
                _ => tree.join(variant.plan.platform.to_string().replace('/', "_")),
            };
            fsx::create_dir_all(&folder)?;
            let trees = build.trees(variant.finished.target())?;
            if !trees.is_empty() {
                store::copy_merged(&trees, &folder, build.clock.epoch)?;
            }
        }
        into(to, &mut |out| Ok(store::export(&tree, out)?))
    })
}
