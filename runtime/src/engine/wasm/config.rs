//! The one place that configures wasmtime: the compiler and the runner must agree, or the runner refuses the file.

use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use wasmtime::{Config, Engine, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocation {
    /// As needed: one instance, started now.
    OnDemand,
    /// From a pool of slots that are reused: servers.
    Pool { instances: u32 },
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

pub(super) fn config(allocation: Allocation) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .async_stack_size(STACK)
        .max_wasm_stack(STACK - HOST_STACK)
        .memory_reservation(reservation());
    if let Allocation::Pool { instances } = allocation {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances * 4)
            .total_memories(instances)
            .total_tables(instances * 4)
            .total_stacks(instances * 4)
            .max_memory_size(reservation().try_into().unwrap_or(usize::MAX))
            .table_elements(100_000)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            // a reused slot keeps these pages: no page faults for small guests
            .linear_memory_keep_resident(512 << 10)
            .table_keep_resident(64 << 10)
            .max_unused_warm_slots(instances.min(16));
        config.allocation_strategy(pool);
    }
    config
}

/// What a compiled file depends on beside its source, in 16 hexadecimal digits: wasmtime's version, the settings
/// above, the processor's features.
pub(super) fn compatibility(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let digest = self.0.clone().finalize();
            u64::from_be_bytes(digest[..8].try_into().unwrap_or_default())
        }
    }
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
