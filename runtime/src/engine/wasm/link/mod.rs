//! From a loaded program to its end: the host's functions are linked, then the guest is called.

mod command;
mod imports;

use super::error::Error;
use super::host::limits::Limits;
use super::message::{Message, Ready, Sender};
use super::run::{Prepared, Program};
use super::start::report;
use super::stop::Stop;
use std::future::Future;

/// Runs the program; the exit code.
pub(super) fn run(prepared: Prepared, mut pipe: Sender) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(start(prepared, &mut pipe)),
        Err(e) => Err(Error::system("start the event loop", e)),
    };
    result.unwrap_or_else(|error| {
        let code = i32::from(error.exit_code());
        report(&mut pipe, error);
        code
    })
}

async fn start(prepared: Prepared, pipe: &mut Sender) -> Result<i32, Error> {
    let Prepared { engine, program, view, entrypoint, path, stop, memory } = prepared;
    let subject = Subject { path: &path, engine: &engine, view: &view };
    let limits = Limits::new(memory);
    match program {
        Program::Module(module) => {
            command::module(&subject, &module, entrypoint.function.as_deref(), limits, &stop, pipe)
                .await
        }
        Program::Component(component, Ok(world)) => {
            command::component(&subject, &component, world, limits, &stop, pipe).await
        }
        Program::Component(_, Err(exports)) => Err(Error::NoEntryPoint { path, exports }),
    }
}

/// What is being run.
struct Subject<'a> {
    path: &'a str,
    engine: &'a wasmtime::Engine,
    view: &'a super::guest::View,
}

/// Tells the parent that the guest is about to run.
fn ready(pipe: &mut Sender, ready: Ready) {
    pipe.send(&Message::Ready(ready));
    pipe.close();
}

/// Runs a guest's call until it ends or the guest is told to stop: 128 + the signal.
async fn until_stopped<T>(stop: &Stop, call: impl Future<Output = T>) -> Result<T, i32> {
    tokio::select! {
        biased;
        result = call => Ok(result),
        signal = stop.wait() => Err(128 + signal),
    }
}
