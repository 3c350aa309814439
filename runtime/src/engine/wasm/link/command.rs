//! Programs: preview 1 modules, `wasi:cli/run` 0.2 and 0.3.

use super::super::error::Error;
use super::super::host::limits::Limits;
use super::super::host::{Host, Host1};
use super::super::kinds::World;
use super::super::stop::Stop;
use super::super::trap;
use super::{Subject, imports, until_stopped};
use wasmtime::component::Component;
use wasmtime::{Module, Store};

/// Runs a core module's `_start`, or the function that was asked for.
pub(super) async fn module(
    subject: &Subject<'_>,
    module: &Module,
    function: Option<&str>,
    limits: Limits,
    announce: &mut dyn FnMut(),
) -> Result<i32, Error> {
    let linker = imports::of_module(subject, module)?;
    let pre = linker
        .instantiate_pre(module)
        .map_err(|e| imports::unlinkable_module(subject, module, &linker, e))?;
    let entry = function.unwrap_or("_start");
    if module.get_export(entry).is_none_or(|e| e.func().is_none()) {
        let path = subject.path.to_owned();
        let functions = module.exports().filter(|e| e.ty().func().is_some());
        let exports = functions.map(|e| e.name().to_owned()).collect();
        return Err(match function {
            Some(function) => {
                Error::NoSuchFunction { path, function: function.to_owned(), exports }
            }
            None => Error::NoEntryPoint { path, exports },
        });
    }
    let host = Host1::new(subject.view, limits)
        .map_err(|e| Error::system("open the container's directories", e))?;
    let mut store = Store::new(subject.engine, host);
    store.limiter(|host| &mut host.limits);
    store.set_epoch_deadline(1);
    Stop::interrupt(subject.engine);
    announce();
    let call = async {
        let instance = pre.instantiate_async(&mut store).await?;
        let entry = instance.get_typed_func::<(), ()>(&mut store, entry)?;
        entry.call_async(&mut store, ()).await
    };
    Ok(match until_stopped(subject.stop, call).await {
        Ok(Ok(())) => 0,
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
) -> Result<i32, Error> {
    let linker = imports::of_component(subject, component)?;
    let pre = linker
        .instantiate_pre(component)
        .map_err(|e| imports::unlinkable_component(subject, component, e))?;
    let host = Host::new(subject.view, limits)
        .map_err(|e| Error::system("open the container's directories", e))?;
    let mut store = Store::new(subject.engine, host);
    store.limiter(|host| &mut host.limits);
    store.set_epoch_deadline(1);
    Stop::interrupt(subject.engine);
    let unlinkable = |e| imports::unlinkable_component(subject, component, e);
    let outcome = if world == World::Command3 {
        use wasmtime_wasi::p3::bindings::CommandPre;
        let pre = CommandPre::new(pre).map_err(unlinkable)?;
        announce();
        let call = async {
            let command = pre.instantiate_async(&mut store).await?;
            let run = command.wasi_cli_run();
            store.run_concurrent(async |store| run.call_run(store).await).await?
        };
        until_stopped(subject.stop, call).await
    } else {
        use wasmtime_wasi::p2::bindings::CommandPre;
        let pre = CommandPre::new(pre).map_err(unlinkable)?;
        announce();
        let call = async {
            let command = pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        };
        until_stopped(subject.stop, call).await
    };
    Ok(match outcome {
        Ok(Ok(Ok(()))) => 0,
        Ok(Ok(Err(()))) => 1,
        Ok(Err(error)) => trap::exit_code(&error, store.data().limits.denied.as_ref()),
        Err(code) => code,
    })
}
