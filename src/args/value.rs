//! The notations of single values.

use knarr_core::image::Platform;
use knarr_core::spec::limits::{InvalidLimit, Ulimit, parse_cpus, parse_size};
use std::collections::BTreeMap;

/// What `--runtime` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Wasm,
    Native,
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

pub fn runtime(text: &str) -> Result<Runtime, String> {
    match text {
        "wasm" => Ok(Runtime::Wasm),
        "native" | "runc" | "crun" | "youki" | "io.containerd.runc.v2" => Ok(Runtime::Native),
        text => {
            let name = text.strip_prefix("io.containerd.").unwrap_or(text);
            let name = name.rsplit_once(".v").map_or(name, |(name, _)| name);
            match name {
                "wasmtime" | "wasmedge" | "wasmer" | "spin" | "slight" | "wws" => Ok(Runtime::Wasm),
                _ => Err("the runtimes are wasm and native".into()),
            }
        }
    }
}

/// `NAME=VALUE` or `NAME`, several times.
pub fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    texts.iter().map(pair).collect()
}
