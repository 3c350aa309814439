//! List a project's volumes.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::ui;
use crate::ui::listing::{Listing, Row};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
    /// Only volumes of these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let wanted = session.wanted(&Default::default());
    let of_services = |name: &str| {
        args.services.is_empty()
            || wanted.services.iter().filter(|s| args.services.contains(&s.name)).any(|service| {
                wanted.volumes.iter().any(|v| v.name == name && service.volumes.contains(&v.key))
            })
    };
    let observed = session.observe()?;
    let names: Vec<&str> =
        observed.volumes.iter().map(|v| v.name.as_str()).filter(|name| of_services(name)).collect();
    if args.format == "json" && !args.quiet {
        names.iter().try_for_each(|name| {
            ui::line(json!({"Name": name, "Driver": "local", "Scope": "local"}))
        })?;
        return Ok(0);
    }
    let rows = names.iter().map(|name| Row::new().text("Name", *name).text("Driver", "local"));
    let headings = &[("Driver", "DRIVER"), ("Name", "VOLUME NAME")];
    let listing = Listing { headings, table: "{{.Driver}}\t{{.Name}}", quiet: "{{.Name}}" };
    ui::data(listing.render(Some(&args.format), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}
