//! Why a Wasm guest could not be started. Serialisable: most of these happen in the guest's process and are
//! reported by its parent, with kind and fields intact.

use super::cause::Cause;
use super::compile::Resource;
use super::config::WASMTIME;
use crate::sys::port;
use knarr_core::hint::Hint;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    #[error("the container has no command: neither the image nor the command line names a module")]
    NoCommand,
    #[error("module {name:?} not found in the container")]
    ModuleNotFound { name: String, searched: Vec<String>, modules: Vec<String> },
    #[error("{path} is a directory, not a WebAssembly module")]
    ModuleIsDirectory { path: String },
    #[error("{path} is {found}, not a WebAssembly module")]
    NotWasm { path: String, found: String },
    #[error("{path} was compiled to machine code elsewhere; such a file cannot be trusted")]
    Precompiled { path: String },
    #[error("{path} is not a valid WebAssembly module")]
    Invalid { path: String, source: Cause },
    #[error(
        "{path} uses {} of WebAssembly, which wasmtime {WASMTIME} does not have here",
        named(proposals)
    )]
    Proposals { path: String, proposals: Vec<String>, source: Cause },
    #[error("compiling {path} takes more than {limit}")]
    CompilerLimit { path: String, limit: Resource },
    #[error("{path} crashed the compiler ({how})")]
    CompilerCrashed { path: String, how: String, source: Option<Cause> },
    #[error("{path} imports {import}, which Knarr does not offer")]
    MissingImport { path: String, import: String, nearest: Option<String>, remedy: Option<String> },
    #[error("{path} needs {what}")]
    Unlinkable { path: String, what: String, source: Cause },
    #[error(
        "{path} has neither an entry point that Knarr knows nor the function that was asked for"
    )]
    NoEntryPoint { path: String, exports: Vec<String> },
    #[error("{path} exports no function {function:?}")]
    NoSuchFunction { path: String, function: String, exports: Vec<String> },
    #[error("cannot call {function:?} with these arguments: {reason}")]
    WrongArguments { function: String, reason: String },
    #[error("unable to find user {user}: {reason}")]
    NoSuchUser { user: String, reason: String },
    #[error("cannot listen on {address}")]
    Listen { address: String, source: Cause },
    #[error("cannot mount {target} in the container")]
    Mount { target: String, source: Cause },
    #[error("cannot confine the guest's process: {operation} failed")]
    Confine { operation: String, source: Cause },
    #[error("cannot {operation}")]
    System { operation: String, source: Cause },
    #[error("the guest's process ended before the guest was ready ({how})")]
    Died { how: String },
    #[error("{flag} has no meaning for a Wasm container: {reason}")]
    Meaningless { flag: String, reason: String },
}

impl Error {
    pub(super) fn system(operation: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::System { operation: operation.into(), source: source.into() }
    }

    pub(super) fn confine(operation: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Confine { operation: operation.into(), source: source.into() }
    }

    /// The exit code of `run` for this error, Docker's meanings: 127 not found, 126 found but not executable,
    /// 125 Knarr itself failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ModuleNotFound { .. } => 127,
            Self::ModuleIsDirectory { .. }
            | Self::NotWasm { .. }
            | Self::Precompiled { .. }
            | Self::Invalid { .. }
            | Self::Proposals { .. }
            | Self::CompilerLimit { .. }
            | Self::CompilerCrashed { .. }
            | Self::MissingImport { .. }
            | Self::Unlinkable { .. }
            | Self::NoEntryPoint { .. }
            | Self::NoSuchFunction { .. }
            | Self::WrongArguments { .. } => 126,
            _ => 125,
        }
    }
}

/// `the proposal threads`, `the proposals threads and gc`.
fn named(proposals: &[String]) -> String {
    match proposals {
        [one] => format!("the proposal {one}"),
        [first @ .., last] => format!("the proposals {} and {last}", first.join(", ")),
        [] => "a proposal".to_owned(),
    }
}

/// How to build a program that does without these proposals.
fn without(proposals: &[String]) -> String {
    let uses = |name: &str| proposals.iter().any(|proposal| proposal == name);
    if uses("threads") {
        "build it for one thread, with neither shared memory nor atomics (without -pthread and \
         -C target-feature=+atomics)"
            .into()
    } else if uses("legacy-exceptions") {
        "build it with the exceptions of WebAssembly 3.0, or translate it: wasm-opt --translate-to-exnref".into()
    } else {
        "build it for WebAssembly 3.0, without what that does not have".into()
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCommand => {
                "give the module after the image: knarr run IMAGE /app.wasm [ARGUMENT...]".into()
            }
            Self::ModuleNotFound { name, .. } if name.starts_with('-') => {
                "options go before the image: what follows it is the module and its arguments".into()
            }
            Self::ModuleNotFound { searched, modules, .. } if !modules.is_empty() => format!(
                "searched {}; the container's modules: {}",
                searched.join(", "),
                modules.join(", ")
            ),
            Self::ModuleNotFound { searched, .. } if searched.len() > 1 => {
                format!("searched {}; write its absolute path", searched.join(", "))
            }
            Self::ModuleNotFound { .. } | Self::ModuleIsDirectory { .. } => {
                "the first word of the command is the module's path in the container".into()
            }
            Self::NotWasm { found, .. } if found.contains("ELF") || found.contains("script") => {
                "this is a native program: choose its variant with --platform linux/ARCHITECTURE".into()
            }
            Self::NotWasm { .. } => {
                "a module starts with the bytes 00 61 73 6d; a text module's name ends in .wat".into()
            }
            Self::Precompiled { .. } => {
                "ship the .wasm itself; Knarr compiles it once for this machine and keeps the result".into()
            }
            Self::Invalid { .. } => {
                "build it again, and check that the file is complete ('wasm-tools validate' tells more)".into()
            }
            Self::Proposals { proposals, .. } => without(proposals),
            Self::CompilerLimit { limit, .. } => limit.remedy(),
            Self::CompilerCrashed { .. } => {
                "that is a bug in the compiler, please report the module; nothing else was harmed".into()
            }
            Self::MissingImport { remedy: Some(remedy), .. } => remedy.clone(),
            Self::MissingImport { nearest: Some(nearest), .. } => {
                format!("the nearest that Knarr offers is {nearest}")
            }
            Self::MissingImport { .. } => {
                "Knarr offers WASI preview 1 and the interfaces of wasi:cli and wasi:http, 0.2 and 0.3".into()
            }
            Self::NoEntryPoint { exports, .. } | Self::NoSuchFunction { exports, .. } => {
                if exports.is_empty() {
                    "it exports nothing that can be called".into()
                } else {
                    format!("it exports {}; call one with MODULE#FUNCTION", exports.join(", "))
                }
            }
            Self::NoSuchUser { .. } => "give a number, or a name in the image's /etc/passwd".into(),
            Self::Listen { address, source } => {
                let address = address.parse::<SocketAddr>().ok()?;
                return port::hint(address.port(), source.code);
            }
            _ => return None,
        })
    }
}
