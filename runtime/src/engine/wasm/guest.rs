//! What the guest sees of its container, in one value from which each store's WASI context is built.

use super::files::Preopen;
use super::host::files::Tree;
use super::host::names::Names;
use super::host::sockets::Place;
use super::host::stdio::{Input, Output};
use crate::engine::native;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::net::TcpListener;
use std::sync::Arc;
use wasmtime_wasi::WasiCtxBuilder;

/// Arguments, environment, directories, streams, network.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub cwd: String,
    pub preopens: Vec<Preopen>,
    pub tree: Arc<Tree>,
    pub network: NetworkMode,
    pub names: Arc<Names>,
    pub place: Arc<Place>,
    /// For a core module that accepts connections: its listeners, with their ports.
    pub listening: Arc<Vec<(u16, TcpListener)>>,
    /// Until the guest wants it otherwise.
    pub listeners_block: bool,
}

impl View {
    /// A new WASI context; every store needs its own.
    pub fn context(&self) -> wasmtime::Result<WasiCtxBuilder> {
        let mut builder = WasiCtxBuilder::new();
        // files are local, and nothing else runs on this thread that a read could hold up
        builder.allow_blocking_current_thread(true);
        builder.args(&self.args).envs(&self.env);
        if self.cwd != "/" {
            builder.initial_cwd(&self.cwd);
        }
        builder.stdin(Input).stdout(Output::Stdout).stderr(Output::Stderr);
        for preopen in &self.preopens {
            builder.preopened_dir(&preopen.host, &preopen.guest, preopen.permissions)?;
        }
        match self.network {
            NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Networks(_) => {
                builder.allow_tcp(true).allow_udp(true);
                let place = self.place.clone();
                builder.socket_addr_check(move |address, reason| {
                    let permitted = place.permits(address, reason);
                    Box::pin(std::future::ready(permitted))
                });
            }
            NetworkMode::None => {
                builder.allow_tcp(false).allow_udp(false);
            }
        }
        Ok(builder)
    }
}

/// The environment as a native guest has it; `PWD` tells programs that look (Go's do) where they are.
pub(super) fn environment(spec: &ContainerSpec, home: &str, cwd: &str) -> Vec<(String, String)> {
    let variables = native::environment(spec, &[], home, spec.process.tty);
    let mut pairs: Vec<(String, String)> = variables
        .iter()
        .filter_map(|v| v.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if cwd != "/" && !pairs.iter().any(|(name, _)| name == "PWD") {
        pairs.push(("PWD".to_owned(), cwd.to_owned()));
    }
    pairs
}
