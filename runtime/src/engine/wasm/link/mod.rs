//! From a loaded program to its end: the host's functions are linked, then the guest is called.

mod command;
pub(super) mod imports;
mod invoke;
pub(super) mod unlinkable;

use super::confine;
use super::error::Error;
use super::host::limits::{Account, Limits};
use super::load::Program;
use super::locate::Entrypoint;
use super::message::{Message, Sender};
use super::run::Prepared;
use super::serve;
use super::start::report;
use super::stop::Stop;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

/// Runs the program, whose end is the process's; the exit code where it could not be started.
pub(super) fn run(prepared: Prepared, mut pipe: Sender) -> i32 {
    let Prepared { runtime, engine, program, view, entrypoint, path, stop, memory, server, ready } =
        prepared;
    let subject = Subject { path: &path, engine: &engine, view: &view, stop: &stop };
    let account = Account::new(memory);
    let mut announce = || {
        pipe.send(&Message::Ready(ready.clone()));
        pipe.keep();
    };
    let Err(error) =
        runtime.block_on(start(&subject, program, &entrypoint, account, server, &mut announce));
    let code = i32::from(error.exit_code());
    report(&mut pipe, error);
    code
}

/// Ends the process with the guest. Nothing is taken down first: the kernel does that faster, and what writes, has
/// written.
pub(super) fn end(code: i32) -> ! {
    confine::leave(code)
}

async fn start(
    subject: &Subject<'_>,
    program: Program,
    entrypoint: &Entrypoint,
    account: Arc<Account>,
    server: Option<serve::Settings>,
    announce: &mut dyn FnMut(),
) -> Result<Infallible, Error> {
    let function = entrypoint.function.as_deref();
    let limits = || Limits::new(&account);
    match (program, function) {
        (Program::Module(module, linker), function) => {
            command::module(subject, &module, linker, function, limits(), announce).await
        }
        (Program::Component(component, _), Some(function)) => {
            command::component_function(subject, &component, function, limits(), announce).await
        }
        (Program::Component(component, Ok(world)), None) => match server {
            Some(settings) => {
                serve::run(subject, &component, world, account, settings, announce).await
            }
            None => command::component(subject, &component, world, limits(), announce).await,
        },
        (Program::Component(_, Err(exports)), None) => {
            Err(Error::NoEntryPoint { path: subject.path.to_owned(), exports })
        }
    }
}

/// What is being run.
pub(super) struct Subject<'a> {
    pub path: &'a str,
    pub engine: &'a wasmtime::Engine,
    pub view: &'a super::guest::View,
    pub stop: &'a Stop,
}

/// Runs a guest's call until it ends or the guest is told to stop: 128 + the signal.
async fn until_stopped<T>(stop: &Stop, call: impl Future<Output = T>) -> Result<T, i32> {
    tokio::select! {
        biased;
        result = call => Ok(result),
        signal = stop.wait() => Err(128 + signal),
    }
}
