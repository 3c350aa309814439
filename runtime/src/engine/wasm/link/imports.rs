//! What a program imports and what we offer it.

use super::super::error::Error;
use super::super::host::files::{self, Files};
use super::super::host::names::lookup::Lookup;
use super::super::host::sockets::{p1 as sockets1, p2, p3};
use super::super::host::{Host, Host1};
use super::Subject;
use wasmtime::component::{self, Component};
use wasmtime::{Engine, Linker, Module};
use wasmtime_wasi::{I32Exit, p1};

/// The module that WASI preview 1's functions are in.
pub(super) const PREVIEW1: &str = "wasi_snapshot_preview1";
/// Its predecessor, which some old modules import.
pub(super) const PREVIEW0: &str = "wasi_unstable";

/// The functions of WASI preview 1.
pub(in crate::engine::wasm) fn of_module(
    engine: &Engine,
    module: &Module,
) -> wasmtime::Result<Linker<Host1>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |host: &mut Host1| &mut host.wasi)?;
    if module.imports().any(|import| import.module() == PREVIEW0) {
        wasmtime_wasi::p0::add_to_linker_async(&mut linker, |host: &mut Host1| &mut host.wasi)?;
    }
    linker.allow_shadowing(true);
    files::shadow_preview1(&mut linker, PREVIEW1)?;
    // wasmtime refuses codes from 126 on; a program's exit code is its own business
    linker.func_wrap(PREVIEW1, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(I32Exit(code).into())
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Those of them that know the container's listeners.
pub(super) fn listen(linker: &mut Linker<Host1>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    sockets1::wrap(linker, PREVIEW1)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The interfaces of WASI that the component imports, by generation.
pub(in crate::engine::wasm) fn of_component(
    subject: &Subject<'_>,
    component: &Component,
) -> Result<component::Linker<Host>, Error> {
    let mut linker = component::Linker::new(subject.engine);
    let generations = Generations::of(subject, component);
    add(&mut linker, &generations, subject.view.place.rewrites())
        .map_err(|e| Error::system("link WASI", e))?;
    Ok(linker)
}

/// Which groups of interfaces a component mentions: linking all of them would cost each start.
#[derive(Debug, Default)]
struct Generations {
    p2: bool,
    p3: bool,
    http2: bool,
    http3: bool,
}

impl Generations {
    fn of(subject: &Subject<'_>, component: &Component) -> Self {
        let mut found = Self::default();
        for (name, _) in component.component_type().imports(subject.engine) {
            let http = name.starts_with("wasi:http/");
            match name.split_once('@').map(|(_, version)| version) {
                Some(version) if version.starts_with("0.2") => {
                    found.p2 = true;
                    found.http2 |= http;
                }
                Some(version) if version.starts_with("0.3") => {
                    found.p3 = true;
                    found.http3 |= http;
                }
                _ => {}
            }
        }
        found
    }
}

fn add(
    linker: &mut component::Linker<Host>,
    generations: &Generations,
    rewrites: bool,
) -> wasmtime::Result<()> {
    if generations.p2 {
        let mut options = wasmtime_wasi::p2::bindings::LinkOptions::default();
        options.network_error_code(true);
        wasmtime_wasi::p2::add_to_linker_with_options_async(linker, &options)?;
        linker.allow_shadowing(true);
        use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
        use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
        preopens::add_to_linker::<Host, Files>(linker, Host::files)?;
        types::add_to_linker::<Host, Files>(linker, Host::files)?;
        ip_name_lookup::add_to_linker::<Host, Lookup>(linker, Host::lookup)?;
        linker.allow_shadowing(false);
        if rewrites {
            p2::wrap(linker)?;
        }
    }
    if generations.p3 {
        wasmtime_wasi::p3::add_to_linker(linker)?;
        linker.allow_shadowing(true);
        use wasmtime_wasi::p3::bindings::filesystem::{preopens, types};
        use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup;
        preopens::add_to_linker::<Host, Files>(linker, Host::files)?;
        types::add_to_linker::<Host, Files>(linker, Host::files)?;
        ip_name_lookup::add_to_linker::<Host, Lookup>(linker, Host::lookup)?;
        linker.allow_shadowing(false);
        if rewrites {
            p3::wrap(linker)?;
        }
    }
    if generations.http2 {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    }
    if generations.http3 {
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
    }
    Ok(())
}
