//! What a build leaves: an image in the store, archives, folders.

pub mod compress;
pub mod files;
pub mod image;
pub mod module;

use super::execute::{Build, Finished};
use super::options::{AnnotationLevel, Destination, Output};
use super::plan::VariantPlan;
use super::{Built, BuiltVariant, Error, attest};
use crate::archive::{Format, SaveOptions, save};
use crate::{index, wasm};
use image::VariantImage;
use knarr_core::fsx;
use knarr_core::image::{Descriptor, ImageIndex, MediaType};
use knarr_core::store::{Image, unpack_archive};
use std::io::{self, Seek, Write};
use std::path::Path;

/// A variant that was built.
pub struct Variant<'a> {
    pub plan: &'a VariantPlan,
    pub finished: Finished,
}

/// Does everything that `--output` asks for.
pub fn write(build: &Build, variants: &[Variant]) -> Result<Built, Error> {
    let options = build.options;
    let default = [Output::Image];
    let outputs = if options.outputs.is_empty() { &default[..] } else { &options.outputs };
    let mut built = Built { image: None, tags: Vec::new(), variants: Vec::new(), freed: 0 };
    let needs_image = outputs.iter().any(|output| {
        matches!(
            output,
            Output::Image | Output::Oci { .. } | Output::Docker(_) | Output::WasmArtifact
        )
    });
    let mut top = None;
    if needs_image {
        let vertex = build.report.internal("exporting to image");
        top = Some(build.report.watch(vertex, || {
            let images = images(build, variants)?;
            let top = combine(build, &images)?;
            built.variants = images.into_iter().map(VariantImage::into_built).collect();
            Ok(top)
        })?);
    }
    for output in outputs {
        match (output, &top) {
            (Output::Image, Some(top)) => name(build, &mut built, top.clone())?,
            (Output::WasmArtifact, Some(_)) => {
                let artifact = artifact(build, variants)?;
                name(build, &mut built, artifact)?;
            }
            (Output::Oci { to, tar: true }, Some(top)) => {
                archive(build, top, to, Format::OciArchive)?;
            }
            (Output::Oci { to, tar: false }, Some(top)) => layout(build, top, to)?,
            (Output::Docker(to), Some(top)) => archive(build, top, to, Format::DockerArchive)?,
            (Output::Local(folder), _) => files::local(build, variants, folder)?,
            (Output::Tar(to), _) => files::tar(build, variants, to)?,
            (_, None) => {}
        }
    }
    Ok(built)
}

fn images(build: &Build, variants: &[Variant]) -> Result<Vec<VariantImage>, Error> {
    let mut images: Vec<VariantImage> = Vec::new();
    for variant in variants {
        let image = image::write(build, variant)?;
        // two platforms that both came out as the same Wasm image are one variant
        if images.iter().all(|known| known.manifest.digest() != image.manifest.digest()) {
            images.push(image);
        }
    }
    Ok(images)
}

/// One manifest stands for itself; several, or one with attestations, get an index.
fn combine(build: &Build, images: &[VariantImage]) -> Result<Descriptor, Error> {
    let options = build.options;
    let attestations = attest::write(build, images)?;
    let of_index =
        |level: AnnotationLevel| options.annotations.iter().filter(move |a| a.level == level);
    let is_plain = of_index(AnnotationLevel::Index).next().is_none()
        && of_index(AnnotationLevel::IndexDescriptor).next().is_none();
    if let ([image], true, true) = (images, attestations.is_empty(), is_plain) {
        return Ok(image.manifest.clone());
    }
    let mut index = ImageIndex::default();
    index.set_schema_version(2);
    index.set_media_type(Some(MediaType::ImageIndex));
    let manifests = images.iter().map(|image| image.manifest.clone());
    index.set_manifests(manifests.chain(attestations).collect());
    let annotations = image::annotations(options, AnnotationLevel::Index, None);
    index.set_annotations(annotations);
    let (digest, size) = index::put_json(build.store, &index)?;
    let mut descriptor = Descriptor::new(MediaType::ImageIndex, size, digest);
    descriptor.set_annotations(image::annotations(options, AnnotationLevel::IndexDescriptor, None));
    Ok(descriptor)
}

/// Gives what is in the store its names.
fn name(build: &Build, built: &mut Built, descriptor: Descriptor) -> Result<(), Error> {
    for tag in &build.options.tags {
        let vertex = build.report.internal(&format!("naming to {tag}"));
        build.report.watch(vertex, || Ok(build.store.tag(tag, descriptor.clone())?))?;
        build.store.tell("tag", &descriptor, Some(tag));
    }
    build.store.tell("create", &descriptor, None);
    if build.options.tags.is_empty() {
        build.store.keep_dangling(descriptor.clone())?;
    }
    built.tags = build.options.tags.clone();
    built.image = Some(descriptor);
    Ok(())
}

/// A CNCF Wasm artifact of the one variant that is a module.
fn artifact(build: &Build, variants: &[Variant]) -> Result<Descriptor, Error> {
    let mut modules = Vec::new();
    for variant in variants {
        if let Some(module) = module::find(build, variant)? {
            modules.push(module);
        }
    }
    let Some(module) = modules.into_iter().next() else {
        let platform = variants.first().map_or_else(knarr_core::image::Platform::wasm, |variant| {
            variant.plan.platform.clone()
        });
        return Err(Error::NotAModule { platform });
    };
    let annotations =
        image::annotations(build.options, AnnotationLevel::Manifest, None).unwrap_or_default();
    let artifact = wasm::Artifact {
        file_name: module.name,
        created: build.created(),
        report: module.report,
        annotations,
    };
    Ok(wasm::write_artifact(build.store, &module.binary, &artifact)?)
}

/// The image under each of its names, or without one.
fn named(build: &Build, top: &Descriptor) -> Vec<Image> {
    let image = |reference| Image { reference, descriptor: top.clone() };
    match build.options.tags.as_slice() {
        [] => vec![image(None)],
        tags => tags.iter().cloned().map(|tag| image(Some(tag))).collect(),
    }
}

fn archive(build: &Build, top: &Descriptor, to: &Destination, format: Format) -> Result<(), Error> {
    let options = SaveOptions { format, platform: None };
    into(to, &mut |out| Ok(save(build.store, &named(build, top), out, &options)?))
}

/// An OCI layout in a folder.
fn layout(build: &Build, top: &Descriptor, to: &Destination) -> Result<(), Error> {
    let Destination::Path(folder) = to else {
        return Err(Error::Refused {
            option: "--output type=oci,tar=false".into(),
            reason: "a folder cannot be written to standard output",
        });
    };
    let failed = |source| Error::Write { what: folder.display().to_string(), source };
    let mut archive = tempfile::tempfile().map_err(failed)?;
    let options = SaveOptions { format: Format::OciArchive, platform: None };
    save(build.store, &named(build, top), &mut archive, &options)?;
    archive.rewind().map_err(failed)?;
    fsx::create_dir_all(folder)?;
    unpack_archive(archive, folder, None).map_err(|source| Error::Unpack {
        what: folder.display().to_string(),
        source: source.into(),
    })?;
    Ok(())
}

/// Writes to a file, which appears complete or not at all, or to standard output.
pub fn into(
    to: &Destination,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    match to {
        Destination::Stdout => {
            let mut out = io::stdout().lock();
            write(&mut out)?;
            out.flush().map_err(|source| Error::Write { what: "standard output".into(), source })
        }
        Destination::Path(path) => {
            let failed = |source| Error::Write { what: path.display().to_string(), source };
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            fsx::create_dir_all(folder)?;
            let file = tempfile::Builder::new()
                .prefix(fsx::TEMPORARY)
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .tempfile_in(folder)
                .map_err(failed)?;
            let mut out = io::BufWriter::new(file);
            write(&mut out)?;
            let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
            file.persist(path).map_err(|e| failed(e.error))?;
            Ok(())
        }
    }
}

impl VariantImage {
    fn into_built(self) -> BuiltVariant {
        BuiltVariant {
            platform: self.platform,
            config: self.config,
            provenance: self.provenance,
            module: self.module,
            manifest: self.manifest,
        }
    }
}
