//! One image out of a Wasm module and what runs natively, without a Dockerfile: `knarr package`.

mod native;

pub use native::Native;

use crate::archive::{self, layer};
use crate::wasm::{self, InvalidModule, ModuleReport};
use crate::{epoch, index};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::image::config::{ExecutionConfig, History};
use knarr_core::image::{ImageConfig, Platform, Reference};
use knarr_core::store::{self, Image, Store};
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is not a Wasm module", path.display())]
    NotWasm { path: PathBuf, is_native: bool },
    #[error(transparent)]
    Invalid(#[from] InvalidModule),
    #[error("{} is a program for no processor that Knarr knows", path.display())]
    UnknownMachine { path: PathBuf },
    #[error("{} needs {interpreter} to start it, which an image of it alone does not have", path.display())]
    Dynamic { path: PathBuf, interpreter: String },
    #[error("{} is neither a program of Linux, a root file system nor a tarball of one", path.display())]
    NotNative { path: PathBuf },
    #[error("{} is for {found}, not for {asked}", path.display())]
    WrongPlatform { path: PathBuf, found: Platform, asked: Platform },
    #[error("there are two variants for {platform}")]
    Twice { platform: Platform },
    #[error("{} has no file name that an image could have", path.display())]
    Name { path: PathBuf },
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotWasm { is_native: true, .. } => {
                "it is a native program: give it with --linux, and the Wasm module first".into()
            }
            Self::NotWasm { .. } => "build it for wasm32-wasip1 or wasm32-wasip2".into(),
            Self::Invalid(e) => return e.hint(),
            Self::Dynamic { .. } => {
                "link it statically (target …-linux-musl, CGO_ENABLED=0, -static), or give --linux a root file system"
                    .into()
            }
            Self::NotNative { .. } => "a root file system is a folder, or a tar archive, also compressed".into(),
            Self::WrongPlatform { .. } | Self::Twice { .. } => {
                "say what each is for: --linux amd64=FILE --linux arm64=FILE".into()
            }
            Self::File(e) => return e.hint(),
            Self::Archive(e) => return e.hint(),
            Self::Store(e) => return e.hint(),
            _ => return None,
        })
    }
}

/// What to make an image of.
#[derive(Debug, Clone, Default)]
pub struct Package {
    pub module: PathBuf,
    pub native: Vec<Native>,
    /// Of every variant; an entrypoint here is the module's.
    pub config: ExecutionConfig,
    /// Of the native variants; `None`: the program. A root file system need not have one.
    pub native_entrypoint: Option<Vec<String>>,
}

/// An image that was made.
#[derive(Debug)]
pub struct Packaged {
    pub image: Image,
    /// In the order of the index.
    pub variants: Vec<Platform>,
    pub module: ModuleReport,
}

/// Makes the image and names it. The same input gives the same digest.
pub fn package(
    store: &Store,
    package: &Package,
    references: &[Reference],
) -> Result<Packaged, Error> {
    let module = fsx::read(&package.module)?;
    if !wasm::is_wasm(&module) {
        let (path, is_native) = (package.module.clone(), native::is_elf(&module));
        return Err(Error::NotWasm { path, is_native });
    }
    let file_name = file_name(&package.module)?;
    let report = wasm::inspect(&file_name, &module)?;
    // everything is looked at before anything is written
    let natives: Vec<_> =
        package.native.iter().map(Native::examine).collect::<Result<Vec<_>, _>>()?;
    for (at, one) in natives.iter().enumerate() {
        if natives[..at].iter().any(|other| other.platform == one.platform) {
            return Err(Error::Twice { platform: one.platform.clone() });
        }
    }
    let _hold = store.hold_to_add()?;
    let image = wasm::ModuleImage {
        file_name: file_name.clone(),
        config: package.config.clone(),
        created_by: format!("knarr package {file_name}"),
    };
    let mut manifests = vec![wasm::manifest_of_module(store, &module, &image)?];
    for native in &natives {
        let mut config = package.config.clone();
        config.entrypoint = package.native_entrypoint.clone().or_else(|| native.entrypoint());
        let config = ImageConfig {
            created: Some(epoch::created()),
            os: native.platform.os.clone(),
            architecture: native.platform.architecture.clone(),
            variant: native.platform.variant.clone(),
            config,
            history: vec![History {
                created: Some(epoch::created()),
                created_by: Some(format!("knarr package --linux {}", native.name)),
                ..History::default()
            }],
            ..ImageConfig::default()
        };
        let mut tarball = native.tarball()?;
        manifests.push(layer::single(store, &mut tarball as &mut dyn Read, config)?);
    }
    let variants = manifests.iter().filter_map(|m| m.platform().as_ref()).map(Platform::from);
    let variants = variants.collect();
    let descriptor = match manifests.as_slice() {
        [only] => only.clone(),
        several => index::combine(store, several)?,
    };
    for reference in references {
        store.tag(reference, descriptor.clone())?;
        store.tell("tag", &descriptor, Some(reference));
    }
    store.tell("create", &descriptor, None);
    if references.is_empty() {
        store.keep_dangling(descriptor.clone())?;
    }
    let image = Image { reference: references.first().cloned(), descriptor };
    Ok(Packaged { image, variants, module: report })
}

/// The name in the image's root directory.
fn file_name(path: &Path) -> Result<String, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| Error::Name { path: path.to_owned() })
}
