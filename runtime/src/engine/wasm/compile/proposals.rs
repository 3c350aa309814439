//! Which proposals a module needs that the engine does not have, for the error's sake.

use super::super::config::{self, Code};
use wasmparser::{Validator, WasmFeatures};

/// The names of the proposals without which the module is not valid, as far as any validator knows them; none if it is
/// valid for the engine, or with no proposal at all.
pub(super) fn lacking(module: &[u8], code: Code) -> Vec<String> {
    let Ok(binary) = wat::parse_bytes(module) else { return Vec::new() };
    let valid = |features| Validator::new_with_features(features).validate_all(&binary).is_ok();
    let present = config::features(code);
    let mut needed = WasmFeatures::all();
    if valid(present) || !valid(needed) {
        return Vec::new();
    }
    for (_, proposal) in needed.difference(present).iter_names() {
        let without = needed.difference(proposal);
        if valid(without) {
            needed = without;
        }
    }
    needed.difference(present).iter_names().map(|(flag, _)| name(flag)).collect()
}

/// `CM_ASYNC_STACKFUL` → `async-stackful of the component model`.
fn name(flag: &str) -> String {
    let name = flag.to_lowercase().replace('_', "-");
    match name.strip_prefix("cm-") {
        Some(name) => format!("{name} of the component model"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_named() {
        let of = |text: &str| lacking(text.as_bytes(), Code::Plain).join(", ");
        assert_eq!(of("(module)"), "");
        assert_eq!(of("(module (func unreachable i32.add))"), "");
        assert_eq!(of("(module (func (result i32) nop))"), "");
        assert_eq!(of("(module (memory 1 2 shared))"), "threads");
        assert_eq!(of(r#"(module (import "env" "memory" (memory 1 2 shared)))"#), "threads");
        assert_eq!(of("(module (memory 1 (pagesize 1)))"), "custom-page-sizes");
        assert_eq!(of("(module (func try catch_all end))"), "legacy-exceptions");
        assert_eq!(
            of("(module (memory 1 2 shared) (memory 1 (pagesize 1)))"),
            "threads, custom-page-sizes"
        );
    }
}
