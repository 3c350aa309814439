//! What a file is, and how a loaded program wants to be run.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// What a file's first bytes say (WebAssembly core specification, "Modules"; component model, "Binary.md").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Module,
    Component,
    /// The text format of either.
    Text {
        component: bool,
    },
    /// wasmtime's own output.
    Precompiled,
    /// Something else, described for the error message.
    Other(&'static str),
}

/// The operating system that wasmtime's compiled files name in their ELF header.
const WASMTIME: u8 = 200;

/// How many bytes [`format`] wants to see.
pub(super) const HEAD: usize = 4096;

/// Tells the format by the first [`HEAD`] bytes. Custom sections (a module compiled ahead of time by another
/// runtime carries one) do not matter: the standard code is what counts.
pub(super) fn format(head: &[u8], name: &str) -> Format {
    match head {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Format::Module,
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Format::Component,
        [0, b'a', b's', b'm', ..] => Format::Other("a WebAssembly binary of an unknown version"),
        [0x7f, b'E', b'L', b'F', _, _, _, WASMTIME, ..] => Format::Precompiled,
        [0x7f, b'E', b'L', b'F', ..] => Format::Other("an ELF program"),
        [b'#', b'!', ..] => Format::Other("a script"),
        [b'M', b'Z', ..] => Format::Other("a Windows program"),
        [] => Format::Other("an empty file"),
        _ => match keyword(head) {
            Some(component) => Format::Text { component },
            None if name.ends_with(".wat") => Format::Text { component: false },
            None => Format::Other("a file of another kind"),
        },
    }
}

/// Whether Go's linker made a module: what it writes first is a section with the build's name.
pub(super) fn is_go(head: &[u8]) -> bool {
    const NAME: &[u8] = b"go:buildid";
    head.starts_with(b"\0asm\x01\0\0\0\0")
        && head[..head.len().min(64)].windows(NAME.len()).any(|w| w == NAME)
}

/// Whether a text starts a component (true) or a module (false): comments, a parenthesis, one of the two keywords.
fn keyword(head: &[u8]) -> Option<bool> {
    let mut rest = head.trim_ascii_start();
    while let Some(comment) = rest.strip_prefix(b";;") {
        let end = comment.iter().position(|b| *b == b'\n').unwrap_or(comment.len());
        rest = comment[end..].trim_ascii_start();
    }
    let rest = rest.strip_prefix(b"(")?.trim_ascii_start();
    match rest {
        _ if rest.starts_with(b"module") => Some(false),
        _ if rest.starts_with(b"component") => Some(true),
        _ => None,
    }
}

/// What a component offers to be run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum World {
    /// `wasi:cli/run@0.2`
    Command2,
    /// `wasi:cli/run@0.3`
    Command3,
    /// `wasi:http/incoming-handler@0.2`
    Http2,
    /// `wasi:http/handler@0.3`
    Http3,
}

impl Format {
    /// Component or core module.
    pub fn is_component(self) -> bool {
        matches!(self, Self::Component | Self::Text { component: true })
    }
}

impl World {
    pub fn is_server(self) -> bool {
        matches!(self, Self::Http2 | Self::Http3)
    }
}

/// The world of a component; the names of all its exports if it has none that we know.
pub(super) fn world(engine: &Engine, component: &Component) -> Result<World, Vec<String>> {
    let kind = component.component_type();
    let mut found = None;
    let mut names = Vec::new();
    for (name, item) in kind.exports(engine) {
        let world = match name.split_once('@') {
            Some(("wasi:cli/run", version)) if version.starts_with("0.2") => World::Command2,
            Some(("wasi:cli/run", version)) if version.starts_with("0.3") => World::Command3,
            Some(("wasi:http/incoming-handler", version)) if version.starts_with("0.2") => {
                World::Http2
            }
            Some(("wasi:http/handler", version)) if version.starts_with("0.3") => World::Http3,
            _ => {
                if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                    names.push(name.to_owned());
                }
                continue;
            }
        };
        // a server before a program: toolchains give every binary a `main`, but nobody exports a handler by accident
        let rank = |world| match world {
            World::Http3 => 0,
            World::Http2 => 1,
            World::Command3 => 2,
            World::Command2 => 3,
        };
        if found.is_none_or(|best| rank(world) < rank(best)) {
            found = Some(world);
        }
    }
    found.ok_or(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let other = |f| matches!(f, Format::Other(_));
        assert_eq!(format(b"\0asm\x01\0\0\0rest", "a"), Format::Module);
        assert_eq!(format(b"\0asm\x0d\0\x01\0rest", "a"), Format::Component);
        assert_eq!(format(b"(; c ;)", "app.wat"), Format::Text { component: false });
        assert_eq!(format(b" ;; hello\n ( module)", "app"), Format::Text { component: false });
        assert_eq!(format(b"(component)", "app"), Format::Text { component: true });
        assert!(other(format(b"\0asm\x02\0\0\0", "a")));
        assert!(other(format(b"\x7fELF\x02\x01\x01\0", "a")));
        assert!(other(format(b"#!/bin/sh", "a.wat")));
        assert!(other(format(b"", "a.wasm")));
        assert!(other(format(b"(modul", "a.wasm")));
    }
}
