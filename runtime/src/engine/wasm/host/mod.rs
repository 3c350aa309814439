//! What the guest may call: WASI, with Knarr's own view of streams, files, sockets and requests.

pub(super) mod denial;
pub(super) mod files;
pub(super) mod http;
pub(super) mod limits;
pub(super) mod monitor;
pub(super) mod names;
pub(super) mod sockets;
pub(super) mod stdio;

use super::guest::View;
use limits::Limits;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The state of a component's store.
pub(super) struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    requests: http::Requests,
    names: Arc<names::Names>,
    place: Arc<sockets::Place>,
    tree: Arc<files::Tree>,
    opened: files::Opened,
    streams: files::Streams,
    pub limits: Limits,
}

impl Host {
    pub fn new(view: &View, limits: Limits) -> wasmtime::Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles(table.max_capacity()));
        Ok(Self {
            wasi: view.context()?.build(),
            table,
            http: WasiHttpCtx::new(),
            requests: http::Requests::new(view),
            names: view.names.clone(),
            place: view.place.clone(),
            tree: view.tree.clone(),
            opened: files::Opened::default(),
            streams: files::Streams::default(),
            limits,
        })
    }
}

impl Host {
    /// Handles that the guest has open.
    pub fn open_handles(&mut self) -> usize {
        self.table.iter_mut().count()
    }

    /// Whether one of them is of a body that it has not finished writing.
    pub fn has_unfinished_body(&mut self) -> bool {
        self.table.iter_mut().any(|entry| entry.is::<HostOutgoingBody>())
    }

    /// What the file functions work on.
    pub fn files(&mut self) -> files::View<'_> {
        files::View {
            inner: wasmtime_wasi::filesystem::WasiFilesystemCtxView {
                ctx: self.wasi.filesystem(),
                table: &mut self.table,
            },
            tree: &self.tree,
            opened: &mut self.opened,
            streams: &mut self.streams,
        }
    }
}

impl Host {
    /// The guest's sockets, and where they are.
    fn sockets_and_place(&mut self) -> (Arc<sockets::Place>, WasiSocketsCtxView<'_>) {
        (self.place.clone(), self.sockets())
    }

    /// What names are looked up in.
    pub fn lookup(&mut self) -> names::lookup::View<'_> {
        names::lookup::View { table: &mut self.table, names: &self.names }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.requests, table: &mut self.table, ctx: &mut self.http }
    }
}

/// The state of a core module's store.
pub(super) struct Host1 {
    pub wasi: WasiP1Ctx,
    tree: Arc<files::Tree>,
    opened: files::Opened,
    listings: files::Listings,
    sockets: sockets::p1::Sockets,
    pub limits: Limits,
}

impl Host1 {
    pub fn new(view: &View, limits: Limits) -> wasmtime::Result<Self> {
        Ok(Self {
            wasi: view.context()?.build_p1(),
            tree: view.tree.clone(),
            opened: files::Opened::preopened(&view.tree),
            listings: files::Listings::default(),
            sockets: sockets::p1::Sockets::new(view)?,
            limits,
        })
    }
}
