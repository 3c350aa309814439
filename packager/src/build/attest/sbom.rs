//! The software bill of materials, in SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>).

use super::packages::{self, Package};
use crate::build::Error;
use crate::build::execute::Build;
use crate::build::files::Files;
use crate::build::output::Variant;
use crate::wasm::ModuleReport;
use knarr_core::store::digest_of;
use serde_json::{Value, json};

/// The document of a variant.
pub fn document(
    build: &Build,
    variant: &Variant,
    module: Option<&ModuleReport>,
) -> Result<Value, Error> {
    let state = variant.finished.target();
    let files = Files::Layers(build.trees(state)?);
    let (found, distribution) = match state.layers.is_empty() {
        true => Default::default(),
        false => packages::find(&files)?,
    };
    let name = match build.options.tags.first() {
        Some(tag) => tag.familiar(),
        None => "image".to_owned(),
    };
    let chain = state.chain().map(ToString::to_string).unwrap_or_default();
    // the same content gives the same document
    let unique = digest_of(format!("{name} {} {chain}", variant.plan.platform).as_bytes());
    let root = "SPDXRef-DocumentRoot-Image";
    let mut listed = vec![json!({
        "SPDXID": root,
        "name": name,
        "versionInfo": module.map(|m| m.wasi.os()).unwrap_or_default(),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": root,
    })];
    for package in &found {
        let (entry, id) = entry(package, &distribution);
        listed.push(entry);
        relationships.push(json!({
            "spdxElementId": root,
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
    }
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://knarr.run/spdx/{}", unique.digest()),
        "creationInfo": {
            "created": whole_seconds(&build.created()),
            "creators": [concat!("Tool: knarr-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": listed,
        "relationships": relationships,
    }))
}

fn entry(package: &Package, distribution: &str) -> (Value, String) {
    let url = package.url(distribution);
    let id = digest_of(format!("{url} {}", package.path).as_bytes());
    let id = format!("SPDXRef-Package-{}", &id.digest()[..16]);
    let license = package.license.as_deref().filter(|text| is_license(text));
    let value = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "sourceInfo": format!("found in /{}", package.path),
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": license.unwrap_or("NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": url,
        }],
    });
    (value, id)
}

/// A licence expression rather than a text: people write whole licences there.
fn is_license(text: &str) -> bool {
    !text.is_empty()
        && text.len() < 100
        && !text.contains(['\n', ','])
        && text.split(' ').all(|word| {
            matches!(word, "AND" | "OR" | "WITH")
                || word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+()".contains(&b))
        })
        && (text.split(' ').count() == 1
            || text.contains(" AND ")
            || text.contains(" OR ")
            || text.contains(" WITH "))
}

/// SPDX wants no fractions.
fn whole_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}
