//! Which packages a root file system holds, from what their managers wrote down.

use crate::build::Error;
use crate::build::files::{Files, components};
use crate::build::walk::{Item, Match, Source};
use crate::build::{content, files};
use crate::wasm;
use knarr_core::sys::NodeKind;
use std::collections::BTreeSet;
use std::io::Read;

/// A database larger than this is not read on.
const FILE_LIMIT: u64 = 64 << 20;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub kind: Kind,
    pub name: String,
    pub version: String,
    pub architecture: Option<String>,
    pub license: Option<String>,
    /// Where it was found.
    pub path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Deb,
    Apk,
    Python,
    Node,
    /// What the producers section of a Wasm module names.
    Wasm,
}

impl Package {
    /// Its package URL (package-url/purl-spec).
    pub fn url(&self, distribution: &str) -> String {
        let name = encoded(&self.name);
        let version = encoded(&self.version);
        let architecture =
            self.architecture.as_ref().map(|a| format!("?arch={a}")).unwrap_or_default();
        match self.kind {
            Kind::Deb => format!("pkg:deb/{distribution}/{name}@{version}{architecture}"),
            Kind::Apk => format!("pkg:apk/{distribution}/{name}@{version}{architecture}"),
            Kind::Python => format!("pkg:pypi/{}@{version}", name.to_lowercase().replace('_', "-")),
            Kind::Node => format!("pkg:npm/{name}@{version}"),
            Kind::Wasm => format!("pkg:generic/{name}@{version}"),
        }
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => encoded += &format!("%{other:02X}"),
        }
    }
    encoded
}

/// All packages, sorted, and the distribution's id (`debian`).
pub fn find(files: &Files) -> Result<(BTreeSet<Package>, String), Error> {
    let source = Source { files, ignored: None, label: "the image", is_context: false };
    let all = Match::root();
    let mut packages = BTreeSet::new();
    let mut distribution = "linux".to_owned();
    source.walk(&all, None, &mut |item| {
        if item.attributes.kind != NodeKind::Other || item.attributes.special.is_some() {
            return Ok(());
        }
        let path = files::lossy(item.full);
        let names: Vec<&[u8]> = components(item.full).collect();
        let in_folder = |folder: &str| path.starts_with(folder);
        if path == "var/lib/dpkg/status" || in_folder("var/lib/dpkg/status.d/") {
            packages.extend(dpkg(&text(&source, item)?, &path));
        } else if path == "lib/apk/db/installed" || path == "usr/lib/apk/db/installed" {
            packages.extend(apk(&text(&source, item)?, &path));
        } else if path == "etc/os-release" || path == "usr/lib/os-release" {
            let release = text(&source, item)?;
            let id = release.lines().find_map(|line| line.strip_prefix("ID="));
            if let Some(id) = id {
                distribution = id.trim_matches('"').to_owned();
            }
        } else if path.ends_with(".dist-info/METADATA") || path.ends_with(".egg-info/PKG-INFO") {
            packages.extend(python(&text(&source, item)?, &path));
        } else if path.ends_with("/package.json") && is_node_package(&names) {
            packages.extend(node(&text(&source, item)?, &path));
        } else if path.ends_with(".wasm") {
            packages.extend(module(&source, item, &path)?);
        }
        Ok(())
    })?;
    Ok((packages, distribution))
}

fn text(source: &Source, item: &Item) -> Result<String, Error> {
    let failed = source.failed("read", item.full);
    let mut bytes = Vec::new();
    let file = content::open(item).map_err(&failed)?;
    file.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(&failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Paragraphs of `Field: value` lines (deb-control(5)).
fn dpkg(text: &str, path: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| field(paragraph, name);
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        // removed packages whose configuration stayed are no longer there
        if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        packages.push(Package {
            kind: Kind::Deb,
            name,
            version,
            architecture: field("Architecture"),
            license: None,
            path: path.to_owned(),
        });
    }
    packages
}

/// Paragraphs of `P:name` lines (Alpine's installed database).
fn apk(text: &str, path: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |letter: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(letter)).map(str::to_owned)
        };
        let (Some(name), Some(version)) = (field("P:"), field("V:")) else { continue };
        packages.push(Package {
            kind: Kind::Apk,
            name,
            version,
            architecture: field("A:"),
            license: field("L:"),
            path: path.to_owned(),
        });
    }
    packages
}

/// Python's core metadata.
fn python(text: &str, path: &str) -> Option<Package> {
    let head = text.split("\n\n").next()?;
    Some(Package {
        kind: Kind::Python,
        name: field(head, "Name")?,
        version: field(head, "Version")?,
        architecture: None,
        license: field(head, "License-Expression").or_else(|| field(head, "License")),
        path: path.to_owned(),
    })
}

fn field(paragraph: &str, name: &str) -> Option<String> {
    paragraph.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// `node_modules/name/package.json` or `node_modules/@scope/name/package.json`: those deeper in a package are none.
fn is_node_package(names: &[&[u8]]) -> bool {
    let Some(at) = names.iter().rposition(|name| *name == b"node_modules") else { return false };
    match &names[at + 1..] {
        [_, _] => true,
        [scope, _, _] => scope.starts_with(b"@"),
        _ => false,
    }
}

fn node(text: &str, path: &str) -> Option<Package> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let get = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    Some(Package {
        kind: Kind::Node,
        name: get("name")?,
        version: get("version")?,
        architecture: None,
        license: get("license"),
        path: path.to_owned(),
    })
}

/// The compilers and libraries that a module's producers section names. A broken module has none.
fn module(source: &Source, item: &Item, path: &str) -> Result<Vec<Package>, Error> {
    let failed = source.failed("read", item.full);
    let mut binary = Vec::new();
    content::open(item).and_then(|mut file| file.read_to_end(&mut binary)).map_err(failed)?;
    let Ok(report) = wasm::inspect(path, &binary) else { return Ok(Vec::new()) };
    let package = |producer: wasm::Producer| Package {
        kind: Kind::Wasm,
        name: producer.name,
        version: producer.version,
        architecture: None,
        license: None,
        path: path.to_owned(),
    };
    // a language is no package
    let producers = report.producers.into_iter().filter(|producer| producer.field != "language");
    Ok(producers.map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager() {
        let deb = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u9\n\n\
                   Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let found = dpkg(deb, "x");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].url("debian"), "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64");
        let found = apk("C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\n", "x");
        assert_eq!(found[0].url("alpine"), "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64");
        assert_eq!(found[0].license.as_deref(), Some("MIT"));
        let found = python("Name: Flask_X\nVersion: 3.0\n\nName: body\n", "x").unwrap();
        assert_eq!(found.url(""), "pkg:pypi/flask-x@3.0");
        let found = node(r#"{"name":"@a/b","version":"1.0.0","license":"ISC"}"#, "x").unwrap();
        assert_eq!(found.url(""), "pkg:npm/%40a/b@1.0.0");
        assert!(is_node_package(&[b"node_modules", b"x", b"package.json"]));
        assert!(is_node_package(&[b"a", b"node_modules", b"@s", b"x", b"package.json"]));
        assert!(!is_node_package(&[b"node_modules", b"x", b"test", b"package.json"]));
    }
}
