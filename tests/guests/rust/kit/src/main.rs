//! kit: one guest with many small commands, each showing one thing that a runtime must get right.

mod files;
mod system;
mod traps;

use std::io;
use std::process::ExitCode;

/// The words after the command's name.
pub struct Words(Vec<String>);

impl Words {
    /// A word, or nothing.
    pub fn text(&self, i: usize) -> &str {
        self.0.get(i).map_or("", String::as_str)
    }

    pub fn number(&self, i: usize, otherwise: u64) -> u64 {
        self.text(i).parse().unwrap_or(otherwise)
    }

    pub fn all(&self) -> &[String] {
        &self.0
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next();
    let command = arguments.next().unwrap_or_default();
    let words = Words(arguments.collect());
    let result = files::run(&command, &words)
        .or_else(|| system::run(&command, &words, program.as_deref()))
        .or_else(|| traps::run(&command));
    match result {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("kit: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("kit: no command {command:?}");
            ExitCode::from(64)
        }
    }
}

pub type Done = io::Result<()>;

/// How the preview 1 adapter of a component gets memory. Without it the adapter grows the memory itself and takes
/// pages that wasi-libc's allocator, which starts at the memory's end, believes to be its own.
///
/// # Safety
///
/// As the canonical ABI calls it: `old` is null or came from here with this length and alignment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, length: usize, align: usize, new: usize) -> *mut u8 {
    use std::alloc::{Layout, alloc, realloc};
    if new == 0 {
        return align as *mut u8;
    }
    // SAFETY: the caller's promise; sizes above half the address space do not exist here.
    unsafe {
        if length == 0 {
            alloc(Layout::from_size_align_unchecked(new, align))
        } else {
            realloc(old, Layout::from_size_align_unchecked(length, align), new)
        }
    }
}
