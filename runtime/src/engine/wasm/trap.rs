//! How a guest's end is told: its exit code, or why it was stopped, in words a user can act on.

use super::host::stdio::Output;
use super::stop;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Frames of a backtrace that are shown.
const FRAMES: usize = 16;

/// The exit code of a guest whose call came back with an error; writes to standard error why, unless the guest chose
/// the code itself.
pub(super) fn exit_code(error: &wasmtime::Error, denied: Option<&Denied>) -> i32 {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return code & 0xff;
    }
    if let Some(signal) = stop::received()
        && matches!(error.downcast_ref(), Some(Trap::Interrupt))
    {
        return 128 + signal;
    }
    let text = describe("the guest trapped", error, denied);
    let _ = Output::Stderr.write_all(text.as_bytes());
    134
}

/// An error of the guest with its backtrace, as lines of the log.
pub(super) fn describe(what: &str, error: &wasmtime::Error, denied: Option<&Denied>) -> String {
    let mut text = format!("error: {what}: {}\n", reason(error));
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        frames(backtrace, &mut text);
    }
    if let Some(Denied { wanted, limit }) = denied {
        text += &format!(
            "note: it had been refused memory: {wanted} bytes, with a limit of {limit} (--memory)\n"
        );
    }
    text
}

/// The memory that a guest asked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denied {
    pub wanted: usize,
    pub limit: u64,
}

/// One line.
pub(super) fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref() {
        Some(Trap::StackOverflow) => "stack overflow".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            "unreachable code reached (how most languages end a panic or abort)".to_owned()
        }
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    }
}

/// One line for each frame: names only, demangled.
fn frames(backtrace: &WasmBacktrace, text: &mut String) {
    let shown = backtrace.to_string();
    let names = shown.lines().filter_map(|line| line.split_once('!').map(|(_, name)| name));
    for (i, name) in names.take(FRAMES).enumerate() {
        *text += &format!("  {i}: {name}\n");
    }
    let all = backtrace.frames().len();
    if all > FRAMES {
        *text += &format!("  ... and {} more\n", all - FRAMES);
    }
}
