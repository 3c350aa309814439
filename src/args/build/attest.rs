//! `--attest`, `--provenance`, `--sbom`, `--annotation`

use super::fields::Fields;
use crate::args::usage::switch_value;
use crate::error::Failure;
use knarr_packager::build::options::{Annotation, AnnotationLevel, Attestations, Provenance};

/// The later and more special options win: `--attest`, then `--provenance` and `--sbom`.
pub fn attestations(
    attest: &[String],
    provenance_option: Option<&str>,
    sbom_option: Option<&str>,
) -> Result<Attestations, Failure> {
    let mut asked = Attestations::default();
    for text in attest {
        let mut fields = Fields::parse("--attest", text)?;
        let kind = fields.need(&["type"])?;
        let disabled = fields.take_switch("disabled")?.unwrap_or(false);
        match kind.as_str() {
            "provenance" => {
                let provenance = provenance(&mut fields)?;
                asked.provenance = (!disabled).then_some(provenance);
            }
            "sbom" => asked.sbom = !disabled,
            other => {
                return Err(Failure::usage(format!("there is no attestation of type {other:?}"))
                    .hint("the types are provenance and sbom"));
            }
        }
        fields.end("type, mode, version, disabled")?;
    }
    if let Some(text) = provenance_option {
        asked.provenance = match switch_value(text) {
            Some(on) => on.then(Provenance::default),
            None => {
                let mut fields = Fields::parse("--provenance", text)?;
                let provenance = match fields.bare() {
                    Some("max") => Provenance { max: true, ..Provenance::default() },
                    Some("min") => Provenance::default(),
                    _ => {
                        let provenance = provenance(&mut fields)?;
                        fields.end("mode, version")?;
                        provenance
                    }
                };
                Some(provenance)
            }
        };
    }
    if let Some(text) = sbom_option {
        asked.sbom = switch_value(text).ok_or_else(|| {
            Failure::usage(format!("--sbom={text} has no meaning here")).hint("write true or false")
        })?;
    }
    Ok(asked)
}

fn provenance(fields: &mut Fields) -> Result<Provenance, Failure> {
    let max = match fields.take(&["mode"]).as_deref() {
        None | Some("min") => false,
        Some("max") => true,
        Some(other) => {
            return Err(fields.wrong(format!("mode={other}")).hint("the modes are min and max"));
        }
    };
    let slsa_v1 = match fields.take(&["version"]).as_deref() {
        None | Some("v0.2") => false,
        Some("v1") => true,
        Some(other) => {
            return Err(fields.wrong(format!("version={other}")).hint("write v0.2 or v1"));
        }
    };
    Ok(Provenance { max, slsa_v1 })
}

/// `[LEVEL[PLATFORM][,LEVEL…]:]NAME=VALUE`
pub fn annotations(texts: &[String]) -> Result<Vec<Annotation>, Failure> {
    let mut annotations = Vec::new();
    for text in texts {
        let wrong = || {
            Failure::usage(format!("--annotation {text:?} is not [LEVEL:]NAME=VALUE"))
                .hint("the levels are manifest, index, manifest-descriptor and index-descriptor")
        };
        let (before, value) = text.split_once('=').ok_or_else(wrong)?;
        // names have dots, seldom colons; a level is one of few words
        let (levels, name) = match before.split_once(':') {
            Some((levels, name)) => {
                (levels.split(',').map(level).collect::<Option<Vec<_>>>().ok_or_else(wrong)?, name)
            }
            None => (vec![(AnnotationLevel::Manifest, None)], before),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        for (level, platform) in levels {
            let platform =
                platform.map(super::platform).transpose().map_err(|hint| wrong().hint(hint))?;
            let (name, value) = (name.to_owned(), value.to_owned());
            annotations.push(Annotation { level, platform, name, value });
        }
    }
    Ok(annotations)
}

fn level(text: &str) -> Option<(AnnotationLevel, Option<&str>)> {
    let (word, platform) = match text.split_once('[') {
        Some((word, rest)) => (word, Some(rest.strip_suffix(']')?)),
        None => (text, None),
    };
    let level = match word {
        "manifest" => AnnotationLevel::Manifest,
        "index" => AnnotationLevel::Index,
        "manifest-descriptor" => AnnotationLevel::ManifestDescriptor,
        "index-descriptor" => AnnotationLevel::IndexDescriptor,
        _ => return None,
    };
    Some((level, platform))
}
