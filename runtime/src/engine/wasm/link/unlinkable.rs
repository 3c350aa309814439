//! An error that helps where a program imports what we do not offer: the import's name, the nearest thing there is,
//! and, where the name gives away how the program was built, how to build it instead.

use super::super::cause::Cause;
use super::super::error::Error;
use super::super::host::Host1;
use super::super::host::limits::{Account, Limits};
use super::Subject;
use super::imports::{PREVIEW0, PREVIEW1};
use wasmtime::component::Component;
use wasmtime::{Linker, Store, UnknownImportError};

/// Why a core module could not be linked.
pub(in crate::engine::wasm) fn module(
    subject: &Subject<'_>,
    linker: &Linker<Host1>,
    error: wasmtime::Error,
) -> Error {
    let path = subject.path.to_owned();
    let Some(unknown) = error.downcast_ref::<UnknownImportError>() else {
        let what = "a host function of another type than Knarr's".to_owned();
        return Error::Unlinkable { path, what, source: Cause::from(error) };
    };
    let (module, name) = (unknown.module(), unknown.name());
    let offered = offered1(subject, linker);
    let same = [PREVIEW0, PREVIEW1].contains(&module);
    let nearest = if same { nearest(name, offered.iter().map(String::as_str)) } else { None };
    Error::MissingImport {
        path,
        import: format!("{module}::{name}"),
        nearest: nearest.map(|name| format!("{module}::{name}")),
        remedy: remedy(module, name).map(str::to_owned),
    }
}

/// The names of preview 1's functions.
fn offered1(subject: &Subject<'_>, linker: &Linker<Host1>) -> Vec<String> {
    let Ok(host) = Host1::new(subject.view, Limits::new(&Account::new(None))) else {
        return Vec::new();
    };
    let mut store = Store::new(subject.engine, host);
    linker.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect()
}

/// Why a component could not be linked.
pub(in crate::engine::wasm) fn component(
    subject: &Subject<'_>,
    component: &Component,
    error: wasmtime::Error,
) -> Error {
    let path = subject.path.to_owned();
    let kind = component.component_type();
    let mut imports = kind.imports(subject.engine);
    if let Some(missing) = imports.find_map(|(import, _)| missing(&path, import)) {
        return missing;
    }
    let what = "an interface of another form than Knarr's".to_owned();
    Error::Unlinkable { path, what, source: Cause::from(error) }
}

/// Why a program that imports this will not start, as far as the import's name tells: a component's interface
/// (`wasi:io/streams@0.2.6`), or the module that a core module's functions are in. `None`: it is offered.
pub fn missing(path: &str, import: &str) -> Option<Error> {
    if [PREVIEW0, PREVIEW1].contains(&import) {
        return None;
    }
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let fits = |(name, versions): &(&str, &[&str])| {
        *name == interface && versions.iter().any(|v| version.starts_with(v))
    };
    if OFFERED.iter().any(fits) {
        return None;
    }
    let namesake = OFFERED.iter().find(|(name, _)| *name == interface);
    let nearest = match namesake {
        Some((name, versions)) => Some(format!("{name}@{}", versions.join(" and @"))),
        None => nearest(interface, OFFERED.iter().map(|(name, _)| *name)).map(str::to_owned),
    };
    let remedy = remedy(interface, "").map(str::to_owned);
    Some(Error::MissingImport { path: path.to_owned(), import: import.to_owned(), nearest, remedy })
}

const BOTH: &[&str] = &["0.2", "0.3"];
const OLD: &[&str] = &["0.2"];
const NEW: &[&str] = &["0.3"];

/// Interfaces and their generations.
const OFFERED: &[(&str, &[&str])] = &[
    ("wasi:cli/environment", BOTH),
    ("wasi:cli/exit", BOTH),
    ("wasi:cli/stderr", BOTH),
    ("wasi:cli/stdin", BOTH),
    ("wasi:cli/stdout", BOTH),
    ("wasi:cli/terminal-input", BOTH),
    ("wasi:cli/terminal-output", BOTH),
    ("wasi:cli/terminal-stderr", BOTH),
    ("wasi:cli/terminal-stdin", BOTH),
    ("wasi:cli/terminal-stdout", BOTH),
    ("wasi:cli/types", NEW),
    ("wasi:clocks/monotonic-clock", BOTH),
    ("wasi:clocks/system-clock", NEW),
    ("wasi:clocks/types", NEW),
    ("wasi:clocks/wall-clock", OLD),
    ("wasi:filesystem/preopens", BOTH),
    ("wasi:filesystem/types", BOTH),
    ("wasi:http/client", NEW),
    ("wasi:http/handler", NEW),
    ("wasi:http/outgoing-handler", OLD),
    ("wasi:http/types", BOTH),
    ("wasi:io/error", OLD),
    ("wasi:io/poll", OLD),
    ("wasi:io/streams", OLD),
    ("wasi:random/insecure", BOTH),
    ("wasi:random/insecure-seed", BOTH),
    ("wasi:random/random", BOTH),
    ("wasi:sockets/instance-network", OLD),
    ("wasi:sockets/ip-name-lookup", BOTH),
    ("wasi:sockets/network", OLD),
    ("wasi:sockets/tcp", OLD),
    ("wasi:sockets/tcp-create-socket", OLD),
    ("wasi:sockets/types", NEW),
    ("wasi:sockets/udp", OLD),
    ("wasi:sockets/udp-create-socket", OLD),
];

/// What the import says of the program's making.
fn remedy(module: &str, name: &str) -> Option<&'static str> {
    Some(match module {
        "wbg" | "__wbindgen_placeholder__" | "__wbindgen_externref_xform__" => {
            "it was built with wasm-bindgen for a JavaScript host: build it with --target wasm32-wasip2"
        }
        "go" | "gojs" => {
            "it was built with GOOS=js for a JavaScript host: build it with GOOS=wasip1"
        }
        "wasi" if name == "thread-spawn" => {
            "it uses wasi-threads, which no component runtime offers: build it without threads"
        }
        "env" if name == "memory" => {
            "it wants its memory from the host, as programs with threads do: build it without threads"
        }
        "env" => {
            "'env' is a JavaScript or embedding host, such as Emscripten's: build it for WASI \
             (wasi-sdk, or emcc -sSTANDALONE_WASM)"
        }
        "wasix_32v1" | "wasix_64v1" => "it was built for WASIX: build it for plain WASI",
        PREVIEW1 if name.starts_with("sock_") => {
            "it uses WasmEdge's sockets: build it as a component (wasm32-wasip2), whose sockets work"
        }
        _ if module.starts_with("wasmedge") => {
            "it uses a WasmEdge extension: build it for plain WASI"
        }
        _ if module.starts_with("wasi_ephemeral_nn") || module.starts_with("wasi:nn") => {
            "Knarr has no neural networks (wasi-nn): call a model server over the network instead"
        }
        _ if module.starts_with("wasi:keyvalue") || module.starts_with("wasi:blobstore") => {
            "Knarr offers wasi:cli and wasi:http; reach a store over the network instead"
        }
        _ if module.starts_with("fermyon:") || module.starts_with("spin") => {
            "it was built for Spin: build it against wasi:http alone"
        }
        _ => return None,
    })
}

/// The name that looks most like this one, if any does.
fn nearest<'a>(name: &str, offered: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = offered.map(|other| (distance(name, other), other));
    let (distance, other) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 4).then_some(other)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_remedy() {
        use knarr_core::hint::Hint;
        for offered in ["wasi_snapshot_preview1", "wasi:io/streams@0.2.6", "wasi:cli/stdout@0.3.0"]
        {
            assert_eq!(missing("/a", offered), None, "{offered}");
        }
        for (import, hint) in [
            ("env", "embedding host"),
            ("wasi:keyvalue/store@0.2.0", "over the network"),
            ("wasi:io/streams@0.3.0", "wasi:io/streams@0.2"),
            ("wasi:io/stream@0.2.0", "wasi:io/streams"),
            ("wasi:frobnicate/x@0.2.0", "Knarr offers"),
        ] {
            let error = missing("/a.wasm", import).unwrap();
            assert!(error.hint().unwrap().contains(hint), "{import}: {:?}", error.hint());
        }
    }

    #[test]
    fn near_names() {
        let offered = ["fd_write", "fd_read", "path_open"];
        assert_eq!(nearest("fd_wirte", offered.into_iter()), Some("fd_write"));
        assert_eq!(nearest("path_opem", offered.into_iter()), Some("path_open"));
        assert_eq!(nearest("emscripten_sleep", offered.into_iter()), None);
    }
}
