//! `inspect`, `container inspect` and `image inspect`.

mod image;

use super::{Context, Outcome, network, volume};
use crate::args::value::platform;
use crate::error::{FAILED, Failure};
use crate::ui::{self, listing};
use clap::ValueEnum;
use knarr_core::image::Platform;
use knarr_core::store::{self, Store};
use knarr_runtime::container::inspect::Inspection;
use knarr_runtime::{container, state};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Measure the files of containers
    #[arg(short, long)]
    size: bool,
    /// Only look for this kind of thing
    #[arg(long, value_name = "KIND")]
    r#type: Option<Kind>,
    /// Names, or the beginning of ids
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Measure their files
    #[arg(short, long)]
    size: bool,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Of the variant for this platform
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Images, by their names or the beginning of their ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Container,
    Image,
    Volume,
    Network,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Document {
    Container(Box<Inspection>),
    Image(Box<image::Document>),
    Volume(volume::inspect::Document),
    Network(network::inspect::Document),
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    show(args.format.as_deref(), &args.names, |name| match args.r#type {
        None => any(&store, name, args.size),
        Some(Kind::Container) => Ok(Document::Container(of_container(&store, name, args.size)?)),
        Some(Kind::Image) => {
            Ok(Document::Image(image::document(&store, &store.find(name)?, None)?.into()))
        }
        Some(Kind::Network) => Ok(Document::Network(network::inspect::find(store.root(), name)?)),
        Some(Kind::Volume) => Ok(Document::Volume(volume::inspect::find(store.root(), name)?)),
    })
}

pub fn run_container(args: &ContainerArgs, context: &Context) -> Outcome {
    let store = context.store()?;
    show(args.format.as_deref(), &args.containers, |name| of_container(&store, name, args.size))
}

pub fn run_image(args: &ImageArgs, context: &Context) -> Outcome {
    let store = context.store()?;
    show(args.format.as_deref(), &args.images, |name| {
        image::document(&store, &store.find(name)?, args.platform.as_ref())
    })
}

/// Docker's order: a container, else an image, else a network, else a volume.
fn any(store: &Store, name: &str, size: bool) -> Result<Document, Failure> {
    match container::find(store, name) {
        Ok(id) => {
            return Ok(Document::Container(container::inspect(store, &id, size)?.into()));
        }
        Err(container::Error::State(state::Error::NotFound { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    match store.find(name) {
        Ok(image) => return Ok(Document::Image(image::document(store, &image, None)?.into())),
        Err(store::Error::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let Ok(network) = network::inspect::find(store.root(), name) {
        return Ok(Document::Network(network));
    }
    volume::inspect::find(store.root(), name).map(Document::Volume).map_err(|_| {
        Failure::new(format!("no container, image, network or volume {name:?}")).hint(
            "'knarr ps -a', 'knarr images', 'knarr network ls' and 'knarr volume ls' list what there is",
        )
    })
}

fn of_container(store: &Store, name: &str, size: bool) -> Result<Box<Inspection>, Failure> {
    Ok(container::inspect(store, &container::find(store, name)?, size)?.into())
}

/// Prints what is found, and reports what is not, as Docker does.
pub fn show<D: Serialize>(
    format: Option<&str>,
    names: &[String],
    find: impl Fn(&str) -> Result<D, Failure>,
) -> Outcome {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find(name) {
            Ok(document) => found.push(document),
            Err(failure) => failures.push(failure),
        }
    }
    ui::data(listing::documents(format, &found)?.as_bytes())?;
    failures.iter().for_each(ui::failure);
    Ok(if failures.is_empty() { 0 } else { FAILED })
}
