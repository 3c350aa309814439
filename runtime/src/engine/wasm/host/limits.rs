//! The guest's memory limit, and the memory of having refused.

use super::super::trap::Denied;
use wasmtime::ResourceLimiter;

/// Elements of one table; each is a pointer. Far beyond what compilers emit.
const TABLE: usize = 10_000_000;

/// What one store may allocate.
#[derive(Debug, Clone)]
pub(in crate::engine::wasm) struct Limits {
    /// Bytes of all linear memories together.
    memory: Option<u64>,
    used: u64,
    pub denied: Option<Denied>,
}

impl Limits {
    pub fn new(memory: Option<u64>) -> Self {
        Self { memory, used: 0, denied: None }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used + desired.saturating_sub(current) as u64;
        if let Some(limit) = self.memory
            && used > limit
        {
            self.denied = Some(Denied { wanted: desired, limit });
            return Ok(false);
        }
        let allowed = maximum.is_none_or(|maximum| desired <= maximum);
        if allowed {
            self.used = used;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.unwrap_or(TABLE).min(TABLE))
    }
}
