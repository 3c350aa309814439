//! Show where a port of a service is published.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compose::observe;
use knarr_runtime::container::list;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// The protocol, tcp or udp
    #[arg(long, value_name = "PROTOCOL", default_value = "tcp", hide_default_value = true)]
    protocol: String,
    /// The service, by its name in the project
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The port in the container
    #[arg(value_name = "PORT")]
    port: u16,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &[])?;
    let container = session.running(&args.service, args.index)?;
    let all = observe::summaries(&context.store()?, Some(&session.project.name))?;
    let ports = all
        .iter()
        .filter(|summary| summary.name == container.name)
        .flat_map(|summary| &summary.ports);
    let found = ports
        .into_iter()
        .find(|p| p.container_port == args.port && p.protocol.to_string() == args.protocol);
    let Some((port, host)) = found.and_then(|port| Some((port, port.host_port?))) else {
        return Err(Failure::new(format!(
            "{} does not publish {}/{}",
            container.name, args.port, args.protocol
        ))
        .hint(format!("'knarr port {}' lists its ports", container.name)));
    };
    ui::line(format_args!("{}:{host}", list::host_address(port)))?;
    Ok(0)
}
