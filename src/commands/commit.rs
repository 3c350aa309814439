//! Make an image of a container.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compile;
use knarr_core::image::config::ExecutionConfig;
use knarr_core::image::{ImageConfig, ImageManifest, Reference};
use knarr_core::spec::ContainerSpec;
use knarr_packager::archive;
use knarr_runtime::container;
use std::io::Write;

#[derive(Debug, clap::Args)]
#[command(after_help = "What is mounted in the container is not in the image.")]
pub struct Args {
    /// Who made it
    #[arg(short, long, value_name = "TEXT")]
    author: Option<String>,
    /// Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Pause the container meanwhile (the default)
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    pause: bool,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The name that the image gets
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let reference: Option<Reference> = args.reference.as_deref().map(str::parse).transpose()?;
    if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
        return Err(Failure::usage("an image that is being made cannot be named by a digest"));
    }
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    context.among_owners();
    let how = (args.pause, args.message.as_deref());
    let image = container::commit::commit(&store, &id, how, |container, files| {
        let spec = &container.spec;
        let manifest = store.manifest(&spec.image.manifest)?;
        let mut config = store.config(&manifest)?;
        configure(&mut config, spec);
        let below = (files.apart && has_layers(&manifest, &config)).then_some(&manifest);
        let commit = archive::Commit {
            below,
            config,
            changes: &args.change,
            author: args.author.clone(),
            message: args.message.clone(),
            created_by: spec.process.args().join(" "),
            reference: reference.as_ref(),
        };
        let writes = below.is_none() || files.have_changed()?;
        let write = writes.then_some(|out: &mut dyn Write| -> Result<(), Failure> {
            match below {
                Some(_) => Ok(files.write_changes(out)?),
                None => Ok(files.write_all(out)?),
            }
        });
        archive::commit(&store, commit, write)
    })?;
    compile::image(&store, &image, true);
    ui::line(image.id())?;
    Ok(0)
}

/// A further layer fits on these: an artifact of one module has none.
fn has_layers(manifest: &ImageManifest, config: &ImageConfig) -> bool {
    let layers = manifest.layers();
    layers.len() == config.rootfs.diff_ids.len()
        && layers.iter().all(|layer| layer.media_type().to_string().contains("tar"))
}

/// The image runs what the container ran, as it ran it.
fn configure(config: &mut ImageConfig, spec: &ContainerSpec) {
    let (process, platform) = (&spec.process, &spec.image.platform);
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    config.variant.clone_from(&platform.variant);
    let before = std::mem::take(&mut config.config);
    let unless_empty = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let is_default = before.working_dir.is_empty() && process.cwd == "/";
    config.config = ExecutionConfig {
        user: process.user.clone(),
        exposed_ports: spec.exposed.iter().map(|(port, kind)| format!("{port}/{kind}")).collect(),
        env: process.env.clone(),
        entrypoint: unless_empty(&process.entrypoint),
        cmd: unless_empty(&process.cmd),
        volumes: before.volumes,
        working_dir: if is_default { String::new() } else { process.cwd.clone() },
        labels: spec.labels.clone(),
        stop_signal: process.stop_signal.clone(),
        healthcheck: spec.healthcheck.clone(),
        shell: before.shell,
        on_build: Vec::new(),
    };
}
