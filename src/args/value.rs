//! The notations of single values.

use knarr_core::image::Platform;
use knarr_core::spec::EngineKind;
use knarr_core::spec::limits::{InvalidLimit, Ulimit, parse_cpus, parse_size};
use std::collections::BTreeMap;

/// What `--runtime` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    pub engine: EngineKind,
    /// As it was written.
    pub name: String,
}

/// Docker takes `NET_ADMIN`, `cap_net_admin` and `all`.
pub fn capability(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

pub fn size(text: &str) -> Result<u64, InvalidLimit> {
    parse_size(text)
}

pub fn swap(text: &str) -> Result<i64, InvalidLimit> {
    match text {
        "-1" => Ok(-1),
        text => i64::try_from(parse_size(text)?).map_err(|_| InvalidLimit::Size(text.into())),
    }
}

pub fn cpus(text: &str) -> Result<u64, InvalidLimit> {
    parse_cpus(text)
}

pub fn ulimit(text: &str) -> Result<Ulimit, InvalidLimit> {
    text.parse()
}

pub fn platform(text: &str) -> Result<Platform, String> {
    text.parse().map_err(|_| "write it as os/architecture: wasi/wasm, linux/amd64".into())
}

/// Programs that run native containers, as Docker and others call them.
const NATIVE: &[&str] = &["native", "runc", "crun", "youki", "io.containerd.runc.v2"];
/// Docker's runtimes of Wasm: alone, or as `io.containerd.wasmtime.v1`.
const WASM: &[&str] = &["wasmtime", "wasmedge", "wasmer", "spin", "slight", "wws", "lunatic"];

pub fn runtime(text: &str) -> Result<Runtime, String> {
    let of = |engine| Ok(Runtime { engine, name: text.to_owned() });
    if NATIVE.contains(&text) {
        return of(EngineKind::Native);
    }
    let shim = text.strip_prefix("io.containerd.").and_then(|name| name.rsplit_once(".v"));
    let shim = shim.filter(|(_, version)| version.parse::<u8>().is_ok()).map(|(name, _)| name);
    if text == "wasm" || WASM.contains(&shim.unwrap_or(text)) {
        return of(EngineKind::Wasm);
    }
    Err(format!(
        "the runtimes are wasm and native; native is also called {}, wasm {}, and io.containerd.wasmtime.v1 and so on",
        NATIVE[1..].join(", "),
        WASM.join(", ")
    ))
}

/// `NAME=VALUE` or `NAME`, several times.
pub fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    texts.iter().map(pair).collect()
}
