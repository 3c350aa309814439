//! The one place that configures wasmtime: the compiler and the runner must agree, or the runner refuses the file.

use super::kinds::Format;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use wasmparser::WasmFeatures;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

/// The exact wasmtime that compiles. wasmtime itself takes files of any 48, but a fixed compiler must not leave the
/// code of a faulty one in use.
pub(super) const WASMTIME: &str = "48.0.8";
/// Raised when a setting below changes what is compiled.
const SETTINGS: u32 = 3;

/// What an engine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Compiling; it runs nothing.
    Compile,
    /// One instance, started now: memory as needed. Without a compiler, which alone would take a tenth of a start.
    Run,
    /// Many instances, one after the other, from a pool of slots.
    Serve(Needs),
}

/// What one instance of a server needs of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    memories: u32,
    tables: u32,
    /// Of the largest table at its beginning.
    elements: u32,
}

impl Needs {
    /// Instances that may exist at once, in all threads.
    const INSTANCES: u32 = 128;
    /// Memories and tables that a pool may have: they take address space only, but not so little of it.
    const MEMORIES: u32 = 128;
    const TABLES: u32 = 4096;

    pub fn of(component: &Component) -> Self {
        let Some(needs) = component.resources_required() else {
            return Self { memories: 1, tables: 1, elements: 0 };
        };
        let elements = needs.max_initial_table_size.unwrap_or(0);
        Self {
            memories: needs.num_memories.max(1),
            tables: needs.num_tables.max(1),
            elements: elements.try_into().unwrap_or(u32::MAX),
        }
    }

    /// Instances that the pool has room for, whichever of its parts they need most of.
    pub fn instances(self) -> u32 {
        let rooms = [Self::INSTANCES, Self::MEMORIES / self.memories, Self::TABLES / self.tables];
        rooms.into_iter().fold(u32::MAX, u32::min).max(1)
    }

    fn pool(self) -> PoolingAllocationConfig {
        let instances = self.instances();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            // they are no slots: each is as large as it needs to be
            .total_core_instances(u32::MAX)
            .total_memories(instances * self.memories)
            .max_memories_per_module(self.memories)
            .total_tables(instances * self.tables)
            .max_tables_per_module(self.tables)
            .table_elements(self.elements.max(100_000) as usize)
            .total_stacks(Self::INSTANCES * 4)
            .max_memory_size(reservation().try_into().unwrap_or(usize::MAX))
            .max_component_instance_size(16 << 20)
            .max_core_instance_size(16 << 20)
            // a reused slot keeps these pages: no page faults for small guests
            .linear_memory_keep_resident(512 << 10)
            .table_keep_resident(64 << 10)
            .max_unused_warm_slots(instances.min(16));
        pool
    }
}

/// What kind of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Code {
    /// Core modules and components of WASI 0.2.
    Plain,
    /// Components whose functions are asynchronous (WASI 0.3). Every call between host and guest costs more.
    Async,
}

impl Code {
    /// What a program needs, as far as it can be told before it is compiled: WASI 0.3 is asynchronous throughout, and
    /// interfaces are imported by name and version.
    pub fn of(program: &[u8], format: Format) -> Self {
        const WASI3: &[u8] = b"@0.3.";
        let names = format.is_component() && program.windows(WASI3.len()).any(|w| w == WASI3);
        if names { Self::Async } else { Self::Plain }
    }
}

/// Bytes of a guest's stack. As much as a Linux program's main thread has: interpreters recurse deeply. Only what
/// is touched is memory.
const STACK: usize = 8 << 20;
/// What host functions may use of it.
const HOST_STACK: usize = 1 << 20;

/// Room to reserve for one linear memory: all 4 GiB, so that no access needs a bounds check, where the address
/// space has it; little on devices (or under limits) that cannot map that much.
fn reservation() -> u64 {
    const WHOLE: u64 = 4 << 30;
    const LITTLE: u64 = 16 << 20;
    static RESERVATION: OnceLock<u64> = OnceLock::new();
    *RESERVATION.get_or_init(|| {
        if cfg!(target_pointer_width = "64") && can_map(WHOLE as usize * 2) {
            WHOLE
        } else {
            LITTLE
        }
    })
}

/// Whether this process may map so much address space (a limit, or a processor with few address bits, can forbid).
fn can_map(bytes: usize) -> bool {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    // SAFETY: a fresh mapping at an address of the kernel's choice, unmapped before anything can refer to it.
    unsafe {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        match mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::empty(), flags) {
            Ok(start) => munmap(start, bytes).is_ok(),
            Err(_) => false,
        }
    }
}

/// An engine for this purpose. All of them agree on what compiled code looks like.
pub(super) fn engine(purpose: Purpose, code: Code) -> wasmtime::Result<Engine> {
    Engine::new(&config(purpose, code))
}

/// The proposals that [`config`] comes to: WebAssembly 3.0 (wasmtime's default without its threads) and what is added.
pub(super) fn features(code: Code) -> WasmFeatures {
    let mut features =
        WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL | WasmFeatures::WIDE_ARITHMETIC;
    features.remove(WasmFeatures::THREADS);
    features.set(WasmFeatures::CM_ASYNC, code == Code::Async);
    features
}

fn config(purpose: Purpose, code: Code) -> Config {
    let mut config = Config::new();
    if purpose == Purpose::Compile {
        config.cranelift_opt_level(OptLevel::Speed);
    } else {
        config.enable_compiler(false);
    }
    config
        .epoch_interruption(true)
        // finished in wasmtime 48, and on by itself in 49
        .wasm_wide_arithmetic(true)
        .wasm_component_model(true)
        .concurrency_support(code == Code::Async)
        .wasm_component_model_async(code == Code::Async)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .async_stack_size(STACK)
        .max_wasm_stack(STACK - HOST_STACK)
        .memory_reservation(reservation());
    if let Purpose::Serve(needs) = purpose {
        config.allocation_strategy(needs.pool());
    }
    config
}

/// The name of what a compiled file depends on beside its source, as far as it is known without a compiler. The rest
/// (the processor's features) is in the file; an engine that does not fit refuses it, and it is compiled again.
pub(super) fn compatibility() -> String {
    let arch = std::env::consts::ARCH;
    format!("wasmtime-{WASMTIME}-{arch}-{SETTINGS}-{:x}", reservation() >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Cargo.lock` names the wasmtime that is really linked.
    #[test]
    fn the_version_is_the_linked_one() {
        let lock = include_str!("../../../../Cargo.lock");
        let package = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(lock.contains(&package), "WASMTIME in config.rs is not the version in Cargo.lock");
    }

    #[test]
    fn the_scarcest_part_decides() {
        let instances = |memories, tables| Needs { memories, tables, elements: 0 }.instances();
        assert_eq!(instances(1, 1), 128);
        assert_eq!(instances(2, 1), 64);
        assert_eq!(instances(1, 64), 64);
        assert_eq!(instances(500, 1), 1);
    }

    /// What one engine compiles, the others load.
    #[test]
    fn compiler_and_runners_agree() {
        for code in [Code::Plain, Code::Async] {
            let compiler = engine(Purpose::Compile, code).unwrap();
            let module = compiler.precompile_module(b"(module)").unwrap();
            for purpose in
                [Purpose::Run, Purpose::Serve(Needs { memories: 64, tables: 64, elements: 1 })]
            {
                let engine = engine(purpose, code).unwrap();
                // SAFETY: compiled a moment ago.
                unsafe { wasmtime::Module::deserialize(&engine, &module) }.unwrap();
            }
        }
    }
}
