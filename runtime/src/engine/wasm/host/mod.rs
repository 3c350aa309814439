//! What the guest may call: WASI, with Knarr's own view of streams, files, sockets and requests.

pub(super) mod http;
pub(super) mod limits;
pub(super) mod stdio;

use super::guest::View;
use limits::Limits;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The state of a component's store.
pub(super) struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    requests: http::Requests,
    pub limits: Limits,
}

impl Host {
    pub fn new(view: &View, limits: Limits) -> wasmtime::Result<Self> {
        Ok(Self {
            wasi: view.context()?.build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            requests: http::Requests::new(&view.network),
            limits,
        })
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
    pub limits: Limits,
}

impl Host1 {
    pub fn new(view: &View, limits: Limits) -> wasmtime::Result<Self> {
        Ok(Self { wasi: view.context()?.build_p1(), limits })
    }
}
