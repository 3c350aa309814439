//! Looking into a Wasm binary: is it one at all, what does it need, what does it offer, what made it.

use knarr_core::hint::Hint;
use serde::{Deserialize, Serialize};
use wasmparser::{
    ComponentExternalKind, Encoding, ExternalKind, KnownCustom, Parser, Payload, Validator,
    WasmFeatures,
};

/// A binary that no Wasm engine would take.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not a valid Wasm binary")]
pub struct InvalidModule {
    name: String,
    source: wasmparser::BinaryReaderError,
}

impl Hint for InvalidModule {
    fn hint(&self) -> Option<String> {
        Some("build it again, and check that the file is complete".into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Module,
    Component,
}

/// The generation of WASI that a binary is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wasi {
    /// No WASI at all.
    None,
    /// `wasi_snapshot_preview1` and its predecessor.
    P1,
    P2,
    P3,
}

impl Wasi {
    /// The `os` of a CNCF Wasm artifact.
    pub fn os(self) -> &'static str {
        match self {
            Self::None | Self::P1 => "wasip1",
            Self::P2 => "wasip2",
            Self::P3 => "wasip3",
        }
    }
}

/// One program that took part in making a binary (tool-conventions, "producers").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    pub name: String,
    pub version: String,
}

/// What is known of a Wasm binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReport {
    pub kind: Kind,
    pub wasi: Wasi,
    /// Component: interfaces as `wasi:io/streams@0.2.6`. Module: the names of modules, `wasi_snapshot_preview1`.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// Those of the imports that Knarr has nothing for: it will not start.
    pub missing: Vec<String>,
    pub producers: Vec<Producer>,
}

/// The interfaces that Knarr's engine links, without their versions.
const PROVIDED: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

const PREVIEW1: &[&str] = &["wasi_snapshot_preview1", "wasi_unstable"];

/// Validates a binary, and tells what it needs. `name` is for the error.
pub fn inspect(name: &str, binary: &[u8]) -> Result<ModuleReport, InvalidModule> {
    let invalid = |source| InvalidModule { name: name.to_owned(), source };
    let features = WasmFeatures::all();
    Validator::new_with_features(features).validate_all(binary).map_err(invalid)?;
    let mut report = ModuleReport {
        kind: Kind::Module,
        wasi: Wasi::None,
        imports: Vec::new(),
        exports: Vec::new(),
        missing: Vec::new(),
        producers: Vec::new(),
    };
    // modules and components inside a component: their imports are its own affair
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(binary) {
        match payload.map_err(invalid)? {
            Payload::Version { encoding, .. } if depth == 0 => {
                report.kind = match encoding {
                    Encoding::Module => Kind::Module,
                    Encoding::Component => Kind::Component,
                };
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(section) if depth == 0 => {
                for import in section.into_imports() {
                    report.imports.push(import.map_err(invalid)?.module.to_owned());
                }
            }
            Payload::ExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    if export.kind == ExternalKind::Func {
                        report.exports.push(export.name.to_owned());
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    report.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    let is_interface = matches!(
                        export.kind,
                        ComponentExternalKind::Instance | ComponentExternalKind::Func
                    );
                    if is_interface {
                        report.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) => {
                // also those of the modules inside: they say which language it was
                if let KnownCustom::Producers(fields) = section.as_known() {
                    for field in fields.into_iter().flatten() {
                        for value in field.values.into_iter().flatten() {
                            report.producers.push(Producer {
                                field: field.name.to_owned(),
                                name: value.name.to_owned(),
                                version: value.version.to_owned(),
                            });
                        }
                    }
                }
            }
            _ => {}
        }
    }
    for list in [&mut report.imports, &mut report.exports] {
        list.sort();
        list.dedup();
    }
    report.producers.sort();
    report.producers.dedup();
    report.wasi = generation(&report);
    report.missing = report.imports.iter().filter(|name| !is_provided(name)).cloned().collect();
    Ok(report)
}

fn is_provided(import: &str) -> bool {
    // a type or a function that stands for itself comes with what it belongs to
    PREVIEW1.contains(&import) || PROVIDED.iter().any(|interface| import.starts_with(interface))
}

fn generation(report: &ModuleReport) -> Wasi {
    let names = || report.imports.iter().chain(&report.exports);
    if names().any(|name| name.starts_with("wasi:") && name.contains("@0.3")) {
        return Wasi::P3;
    }
    if names().any(|name| name.starts_with("wasi:")) || report.kind == Kind::Component {
        return Wasi::P2;
    }
    match report.imports.iter().any(|name| PREVIEW1.contains(&name.as_str())) {
        true => Wasi::P1,
        false => Wasi::None,
    }
}

/// Whether these are the first bytes of a Wasm binary: module or component.
pub fn is_wasm(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/guests/built")
            .join(name);
        knarr_core::fsx::read(&path).unwrap()
    }

    #[test]
    fn guests_of_each_generation() {
        for (name, kind, wasi) in [
            ("kit.p1.wasm", Kind::Module, Wasi::P1),
            ("kit.p2.wasm", Kind::Component, Wasi::P2),
            ("httpd.p2.wasm", Kind::Component, Wasi::P2),
            ("p3cli.p3.wasm", Kind::Component, Wasi::P3),
        ] {
            let report = inspect(name, &guest(name)).unwrap();
            assert_eq!((report.kind, report.wasi), (kind, wasi), "{name}");
            assert!(report.missing.is_empty(), "{name}: {:?}", report.missing);
            assert!(!report.exports.is_empty(), "{name}");
            assert!(report.producers.iter().any(|p| p.name == "rustc"), "{name}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        // (module (import "env" "f" (func)))
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
        let report = inspect("m", module).unwrap();
        assert_eq!((report.wasi, &report.missing[..]), (Wasi::None, &["env".to_owned()][..]));
        assert!(inspect("m", b"\0asm\x01\0\0\0\x01").is_err());
        assert!(inspect("m", b"").is_err());
    }
}
