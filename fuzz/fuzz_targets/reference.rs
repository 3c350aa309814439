//! Any text as a reference: refused with a hint, or written so that it reads the same again.

#![no_main]

use knarr_core::hint::Hint;
use knarr_core::image::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
            // it becomes a part of a path of a URL
            let safe = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            assert!(reference.path().chars().all(safe) && !reference.path().contains(".."));
        }
        Err(error) => assert!(error.hint().is_some_and(|hint| !hint.is_empty())),
    }
});
