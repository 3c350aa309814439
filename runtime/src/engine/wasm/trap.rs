//! How a guest's end is told: its exit code, or why it was stopped, in words a user can act on.

use super::host::stdio::Output;
use super::{message, stop};
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
    if denied.is_some() {
        message::out_of_memory();
        return 128 + libc::SIGKILL; // as a native program that the kernel ends for this
    }
    134
}

/// An error of the guest with its backtrace, as lines of the log; first what it most likely comes of.
pub(super) fn describe(what: &str, error: &wasmtime::Error, denied: Option<&Denied>) -> String {
    let mut text = String::new();
    if let Some(Denied { wanted, limit }) = denied {
        text += &format!(
            "error: the guest was refused memory: {wanted} bytes, with a limit of {limit} (--memory)\n"
        );
    }
    text += &format!("error: {what}: {}\n", reason(error));
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        text += &trace(&backtrace.to_string());
    }
    text
}

/// The memory that a guest asked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denied {
    pub wanted: u64,
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

/// The frames of a backtrace as wasmtime prints it: names only, and of those the guest's own. What the language's runtime
/// did on the way to the end is the same for every program.
fn trace(shown: &str) -> String {
    let frames = shown.lines().filter_map(|line| line.split_once('!').map(|(_, name)| plain(name)));
    let all: Vec<String> = frames.collect();
    let own: Vec<&String> = all.iter().filter(|name| !is_of_the_runtime(name)).collect();
    let chosen = if own.is_empty() { all.iter().collect() } else { own };
    let mut text = String::new();
    for (i, name) in chosen.iter().take(FRAMES).enumerate() {
        text += &format!("  {i}: {name}\n");
    }
    if chosen.len() > FRAMES {
        text += &format!("  ... and {} more\n", chosen.len() - FRAMES);
    }
    text
}

/// A demangled name without what tells two builds of a function apart: `a::b::h0123456789abcdef`, `a[0123456789abcdef]::b`.
fn plain(name: &str) -> String {
    let is_hash = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let name = match name.trim_end().rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 && is_hash(hash) => rest,
        _ => name.trim_end(),
    };
    let mut parts = name.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => text += rest,
            _ => text.extend(["[", part]),
        }
    }
    text
}

/// Whether a function belongs to a language's library: Rust's, wasi-libc's, Go's.
fn is_of_the_runtime(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "std::",
        "core::",
        "alloc::",
        "__rust",
        "rust_",
        "panic_abort::",
        "dlmalloc::",
        "__wasi",
        "runtime.",
        "_rt0_",
        "wasm_export_",
        "wasi:",
    ];
    const NAMES: &[&str] = &[
        "abort",
        "raise",
        "exit",
        "_Exit",
        "_exit",
        "_start",
        "__main_void",
        "__main_argc_argv",
        "__original_main",
        "__wasm_call_dtors",
        "_initialize",
        "wasm_pc_f_loop",
    ];
    // `<alloc::vec::Vec<T> as …>::f`, `<&T as core::fmt::Display>::fmt`
    let path = name.trim_start_matches(['<', '&']);
    let path =
        path.split_once(" as ").map_or(path, |(kind, implemented)| match kind.contains("::") {
            true => path,
            false => implemented,
        });
    // the component's way in
    let name = name.strip_suffix(".command_export").unwrap_or(name);
    PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_own_frames_without_hashes() {
        let shown = "error while executing at wasm backtrace:\n\
            \x20   0:   0x1 - kit.wasm!__rustc[eb61ac98a7f7f2c2]::rust_abort\n\
            \x20   1:   0x2 - kit.wasm!std::panicking::rust_panic_with_hook::h0123456789abcdef\n\
            \x20   2:   0x3 - kit.wasm!core::panicking::panic_fmt::h0123456789abcdef\n\
            \x20   3:   0x4 - kit.wasm!<alloc::vec::Vec<T> as core::ops::index::Index<I>>::index::h0123456789abcdef\n\
            \x20   4:   0x5 - kit.wasm!<&T as core::fmt::Display>::fmt::h0123456789abcdef\n\
            \x20   5:   0x6 - kit.wasm!<kit::Shape as core::fmt::Display>::fmt::h0123456789abcdef\n\
            \x20   6:   0x7 - kit.wasm!kit[0123456789abcdef]::inner::<[u8; 4]>\n\
            \x20   7:   0x8 - kit.wasm!main\n\
            \x20   8:   0x9 - kit.wasm!_start\n";
        let lines: Vec<String> = trace(shown).lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(
            lines,
            ["0: <kit::Shape as core::fmt::Display>::fmt", "1: kit::inner::<[u8; 4]>", "2: main"]
        );
        assert_eq!(trace("    0:  0x1 - <unknown>!<wasm function 3>"), "  0: <wasm function 3>\n");
        assert_eq!(
            trace("    0:  0x1 - a!abort\n    1: 0x2 - a!_start"),
            "  0: abort\n  1: _start\n"
        );
    }
}
