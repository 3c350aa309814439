//! What a program imports, what we offer, and an error that helps where the two differ.

use super::super::cause::Cause;
use super::super::error::Error;
use super::super::host::{Host, Host1};
use super::Subject;
use wasmtime::component::Component;
use wasmtime::{Module, component};
use wasmtime_wasi::p1;

/// The functions of WASI preview 1, in both of its names.
pub(in crate::engine::wasm) fn of_module(
    subject: &Subject<'_>,
    _module: &Module,
) -> Result<wasmtime::Linker<Host1>, Error> {
    let mut linker = wasmtime::Linker::new(subject.engine);
    p1::add_to_linker_async(&mut linker, |host: &mut Host1| &mut host.wasi)
        .map_err(|e| Error::system("link WASI", e))?;
    Ok(linker)
}

/// The interfaces of WASI that the component imports, by generation.
pub(in crate::engine::wasm) fn of_component(
    subject: &Subject<'_>,
    component: &Component,
) -> Result<component::Linker<Host>, Error> {
    let mut linker = component::Linker::new(subject.engine);
    let generations = Generations::of(subject, component);
    add(&mut linker, &generations).map_err(|e| Error::system("link WASI", e))?;
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

fn add(linker: &mut component::Linker<Host>, generations: &Generations) -> wasmtime::Result<()> {
    if generations.p2 {
        let mut options = wasmtime_wasi::p2::bindings::LinkOptions::default();
        options.network_error_code(true);
        wasmtime_wasi::p2::add_to_linker_with_options_async(linker, &options)?;
    }
    if generations.p3 {
        wasmtime_wasi::p3::add_to_linker(linker)?;
    }
    if generations.http2 {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    }
    if generations.http3 {
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
    }
    Ok(())
}

/// Names the first import that is missing.
pub(in crate::engine::wasm) fn unlinkable_module(
    subject: &Subject<'_>,
    module: &Module,
    _linker: &wasmtime::Linker<Host1>,
    error: wasmtime::Error,
) -> Error {
    let _ = module;
    Error::Unlinkable {
        path: subject.path.to_owned(),
        what: "something that Knarr offers in another form".to_owned(),
        source: Cause::from(error),
    }
}

pub(in crate::engine::wasm) fn unlinkable_component(
    subject: &Subject<'_>,
    _component: &Component,
    error: wasmtime::Error,
) -> Error {
    Error::Unlinkable {
        path: subject.path.to_owned(),
        what: "something that Knarr offers in another form".to_owned(),
        source: Cause::from(error),
    }
}
