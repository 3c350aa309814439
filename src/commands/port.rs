//! Show a container's published ports.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::spec::Port;
use knarr_core::spec::port::parse_exposed;
use knarr_runtime::container::list::host_address;
use knarr_runtime::{container, reconcile};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Show only where this port of the container is published
    #[arg(value_name = "PORT[/PROTOCOL]")]
    port: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    let found = reconcile::container(&context.root, &id)?;
    let mut ports = found.filter(|c| c.state.is_alive()).map(|c| c.state.ports).unwrap_or_default();
    ports.sort_by_key(|port| port.container_port);
    let Some(wanted) = &args.port else {
        for port in &ports {
            ui::line(format_args!("{}/{} -> {}", port.container_port, port.protocol, host(port)))?;
        }
        return Ok(0);
    };
    let wanted = parse_exposed(wanted)?;
    let mut matching =
        ports.iter().filter(|p| wanted.contains(&(p.container_port, p.protocol))).peekable();
    if matching.peek().is_none() {
        return Err(Failure::new(format!(
            "container {} publishes no port {}",
            args.container,
            args.port.as_deref().unwrap_or_default()
        ))
        .hint(format!("'knarr port {}' lists its ports", args.container)));
    }
    for port in matching {
        ui::line(host(port))?;
    }
    Ok(0)
}

fn host(port: &Port) -> String {
    std::net::SocketAddr::new(host_address(port), port.host_port.unwrap_or_default()).to_string()
}
