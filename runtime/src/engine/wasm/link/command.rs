//! Programs: preview 1 modules, `wasi:cli/run` 0.2 and 0.3, single functions of either.

use super::super::error::Error;
use super::super::host::limits::Limits;
use super::super::host::sockets::p1::reserve;
use super::super::host::{Host, Host1};
use super::super::kinds::World;
use super::super::stop::Stop;
use super::super::trap;
use super::{Subject, end, imports, invoke, unlinkable, until_stopped};
use std::convert::Infallible;
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Linker, Module, Store};

/// Runs a core module's `_start`, or the function that was asked for.
pub(super) async fn module(
    subject: &Subject<'_>,
    module: &Module,
    mut linker: Linker<Host1>,
    function: Option<&str>,
    limits: Limits,
    announce: &mut dyn FnMut(),
) -> Result<Infallible, Error> {
    if !subject.view.listening.is_empty() {
        imports::listen(&mut linker).map_err(|e| Error::system("link WASI", e))?;
    }
    let pre =
        linker.instantiate_pre(module).map_err(|e| unlinkable::module(subject, &linker, e))?;
    let path = subject.path;
    let (entry, arguments) = match function {
        Some(function) => {
            (function, invoke::arguments(path, module, function, &subject.view.args[1..])?)
        }
        None if module.get_export("_start").is_some_and(|e| e.func().is_some()) => {
            ("_start", Vec::new())
        }
        None => {
            let exports = invoke::functions(module);
            return Err(Error::NoEntryPoint { path: path.to_owned(), exports });
        }
    };
    let mut results = invoke::results(module, entry);
    let host = Host1::new(subject.view, limits)
        .map_err(|e| Error::system("open the container's directories", e))?;
    let mut store = Store::new(subject.engine, host);
    store.limiter(|host| &mut host.limits);
    store.set_epoch_deadline(1);
    Stop::interrupt(subject.engine);
    announce();
    let call = async {
        reserve(store.data_mut()).await?;
        let instance = pre.instantiate_async(&mut store).await?;
        // a library is told to initialise itself; a program does that in `_start`
        if function.is_some()
            && let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize")
        {
            initialize.call_async(&mut store, ()).await?;
        }
        let entry = instance
            .get_func(&mut store, entry)
            .ok_or_else(|| wasmtime::Error::msg("the export is gone"))?;
        entry.call_async(&mut store, &arguments, &mut results).await
    };
    end(match until_stopped(subject.stop, call).await {
        Ok(Ok(())) => {
            invoke::print(&results);
            0
        }
        Ok(Err(error)) => trap::exit_code(&error, store.data().limits.denied.as_ref()),
        Err(code) => code,
    })
}

/// Runs a component's `wasi:cli/run`.
pub(super) async fn component(
    subject: &Subject<'_>,
    component: &Component,
    world: World,
    limits: Limits,
    announce: &mut dyn FnMut(),
) -> Result<Infallible, Error> {
    let (pre, mut store) = instantiable(subject, component, limits)?;
    let mismatch = |e| unlinkable::component(subject, component, e);
    let outcome = if world == World::Command3 {
        use wasmtime_wasi::p3::bindings::CommandPre;
        let pre = CommandPre::new(pre).map_err(mismatch)?;
        announce();
        let call = async {
            let command = pre.instantiate_async(&mut store).await?;
            let run = command.wasi_cli_run();
            store.run_concurrent(async |store| run.call_run(store).await).await?
        };
        until_stopped(subject.stop, call).await
    } else {
        use wasmtime_wasi::p2::bindings::CommandPre;
        let pre = CommandPre::new(pre).map_err(mismatch)?;
        announce();
        let call = async {
            let command = pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        };
        until_stopped(subject.stop, call).await
    };
    end(match outcome {
        Ok(Ok(Ok(()))) => 0,
        Ok(Ok(Err(()))) => 1,
        Ok(Err(error)) => trap::exit_code(&error, store.data().limits.denied.as_ref()),
        Err(code) => code,
    })
}

/// Calls one function of a component.
pub(super) async fn component_function(
    subject: &Subject<'_>,
    component: &Component,
    function: &str,
    limits: Limits,
    announce: &mut dyn FnMut(),
) -> Result<Infallible, Error> {
    let words = &subject.view.args[1..];
    let (arguments, mut results) =
        invoke::component_arguments(subject.engine, subject.path, component, function, words)?;
    let (pre, mut store) = instantiable(subject, component, limits)?;
    announce();
    let call = async {
        let instance = pre.instantiate_async(&mut store).await?;
        let entry = instance
            .get_func(&mut store, function)
            .ok_or_else(|| wasmtime::Error::msg("the export is gone"))?;
        entry.call_async(&mut store, &arguments, &mut results).await
    };
    end(match until_stopped(subject.stop, call).await {
        Ok(Ok(())) => {
            invoke::print_component(&results);
            0
        }
        Ok(Err(error)) => trap::exit_code(&error, store.data().limits.denied.as_ref()),
        Err(code) => code,
    })
}

/// A component with all its imports found, and a store for it.
fn instantiable(
    subject: &Subject<'_>,
    component: &Component,
    limits: Limits,
) -> Result<(InstancePre<Host>, Store<Host>), Error> {
    let pre = imports::of_component(subject, component)?
        .instantiate_pre(component)
        .map_err(|e| unlinkable::component(subject, component, e))?;
    let host = Host::new(subject.view, limits)
        .map_err(|e| Error::system("open the container's directories", e))?;
    let mut store = Store::new(subject.engine, host);
    store.limiter(|host| &mut host.limits);
    store.set_epoch_deadline(1);
    Stop::interrupt(subject.engine);
    Ok((pre, store))
}
