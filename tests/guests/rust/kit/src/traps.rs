//! Ways to end badly.

use crate::Done;
use std::hint::black_box;

pub fn run(command: &str) -> Option<Done> {
    match command {
        "panic" => panic!("as asked"),
        "abort" => std::process::abort(),
        "overflow" => println!("{}", deeper(0)),
        "outside" => println!("{}", outside(black_box(0xffff_fff0))),
        _ => return None,
    }
    Some(Ok(()))
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { black_box(deeper(depth + 1)) + 1 }
}

/// Reads outside the memory, which is the point.
#[inline(never)]
fn outside(address: usize) -> u32 {
    // SAFETY: none; WebAssembly traps.
    unsafe { (address as *const u32).read_volatile() }
}
