//! List the images that a project's containers were made from.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::compose::observe;
use knarr_runtime::container::list::Summary;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a table or json
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true, value_parser = ["table", "json"])]
    format: String,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let store = context.store()?;
    let chosen = session.chosen(&args.services, None)?;
    let all = observe::summaries(&store, Some(&session.project.name))?;
    let mut of_project: Vec<&Summary> =
        all.iter().filter(|summary| chosen.iter().any(|c| c.name == summary.name)).collect();
    of_project.sort_by(|a, b| a.name.cmp(&b.name));
    let id =
        |summary: &Summary| summary.image_id.to_string().trim_start_matches("sha256:").to_owned();
    if args.quiet {
        let mut ids: Vec<String> = of_project.iter().map(|summary| id(summary)).collect();
        ids.sort();
        ids.dedup();
        ids.iter().try_for_each(ui::line)?;
        return Ok(0);
    }
    let sizes = of_project.iter().map(|summary| {
        let container = knarr_runtime::state::load(store.root(), &summary.id).ok();
        container
            .and_then(|c| knarr_runtime::container::list::size(&store, &c).ok())
            .map_or(0, |s| s.total - s.writable)
    });
    let sizes: Vec<u64> = sizes.collect();
    let parts = |summary: &Summary| match summary.image.parse::<knarr_core::image::Reference>() {
        Ok(reference) => {
            (reference.name().to_owned(), reference.tag().unwrap_or("<none>").to_owned())
        }
        Err(_) => (summary.image.clone(), "<none>".to_owned()),
    };
    if args.format == "json" {
        let one = |(summary, size): (&&Summary, &u64)| -> Value {
            let (repository, tag) = parts(summary);
            json!({"ID": format!("sha256:{}", id(summary)), "ContainerName": summary.name, "Repository": repository,
                "Tag": tag, "Platform": summary.platform.to_string(), "Size": size})
        };
        ui::line(json!(of_project.iter().zip(&sizes).map(one).collect::<Vec<_>>()))?;
        return Ok(0);
    }
    let row = |(summary, size): (&&Summary, &u64)| {
        let (repository, tag) = parts(summary);
        Row::new()
            .text("Container", &summary.name)
            .text("Repository", repository)
            .text("Tag", tag)
            .text("Platform", summary.platform.to_string())
            .text("ID", &id(summary)[..12])
            .text("Size", units::size(*size))
    };
    let listing = Listing {
        headings: &[
            ("Container", "CONTAINER"),
            ("Repository", "REPOSITORY"),
            ("Tag", "TAG"),
            ("Platform", "PLATFORM"),
            ("ID", "IMAGE ID"),
            ("Size", "SIZE"),
        ],
        table: "{{.Container}}\t{{.Repository}}\t{{.Tag}}\t{{.Platform}}\t{{.ID}}\t{{.Size}}",
        quiet: "{{.ID}}",
    };
    ui::data(listing.render(None, false, of_project.iter().zip(&sizes).map(row))?.as_bytes())?;
    Ok(0)
}
