//! The choice of a variant: a pure function that also returns its reason.

use super::{Digest, Platform};
use std::fmt;

/// One manifest of an image, with the platform it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub platform: Platform,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Whether all its blobs are in the store (a pull may have fetched only some variants).
    pub present: bool,
    pub origin: Origin,
}

/// From where the platform of a variant is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The index names it, or it is the image's only one.
    Image,
    /// The index does not name it; the variant's own configuration does.
    Configuration,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.platform)?;
        match self.origin {
            Origin::Image => Ok(()),
            Origin::Configuration => f.write_str(" (by its configuration)"),
        }
    }
}

/// The variant that suits a platform best: one whose platform the image names goes before one that it does not name, then
/// the nearest ([`Platform::distance`]), then the first.
pub fn nearest<'a>(variants: &'a [Variant], wanted: &Platform) -> Option<&'a Variant> {
    variants
        .iter()
        .filter_map(|variant| Some((rank(variant, variant.platform.distance(wanted)?), variant)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, variant)| variant)
}

/// What is not known at all comes last.
fn rank(variant: &Variant, distance: u32) -> (bool, bool, u32) {
    (variant.platform.is_unknown(), variant.origin == Origin::Configuration, distance)
}

/// What this machine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runnable {
    pub wasm: bool,
    /// The native platforms, best first.
    pub native: Vec<Platform>,
}

impl Runnable {
    fn runs(&self, platform: &Platform) -> bool {
        if platform.is_wasm() {
            // 64-bit memories are a proposal that components lack
            return self.wasm && platform.architecture != "wasm64";
        }
        self.native.iter().any(|native| platform.satisfies(native))
    }
}

impl fmt::Display for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wasm = self.wasm.then(Platform::wasm);
        let all: Vec<String> = wasm.iter().chain(&self.native).map(Platform::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

/// Why a variant was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `--platform` (or `--runtime`, or compose's `platform:`) asked for it.
    Requested(Platform),
    /// Nothing was asked for; the image has a Wasm variant, and Wasm comes first.
    WasmFirst,
    /// Nothing was asked for, and the image has no Wasm variant that runs here.
    NativeForHost(Platform),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested(platform) => write!(f, "platform {platform} was requested"),
            Self::WasmFirst => f.write_str(
                "no platform was requested, and a Wasm variant comes first where there is one",
            ),
            Self::NativeForHost(platform) => write!(
                f,
                "no platform was requested, the image has no Wasm variant, and this machine runs {platform}"
            ),
        }
    }
}

/// A chosen variant and the reason of the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What its platform leaves open is this machine's.
    pub variant: Variant,
    pub reason: Reason,
    /// Neither the image nor its configuration says what it is for: it is taken for one of this machine.
    pub assumed: bool,
}

impl Choice {
    fn of(variant: &Variant, reason: impl FnOnce(&Platform) -> Reason) -> Self {
        let platform = variant.platform.or_host();
        let assumed = variant.platform.is_unknown();
        let reason = reason(&platform);
        Self { variant: Variant { platform, ..variant.clone() }, reason, assumed }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoVariant {
    #[error("the image has no {requested} variant; it has {}", list(.available))]
    NotInImage { requested: Platform, available: Vec<Platform> },
    #[error("this machine cannot run {requested}; it runs {runnable}")]
    NotRunnable { requested: Platform, runnable: Runnable },
    #[error("no variant of the image runs on this machine: the image has {}, the machine runs {runnable}", list(.available))]
    NoneRunnable { available: Vec<Platform>, runnable: Runnable },
}

impl NoVariant {
    /// No variant is what was asked for.
    pub fn not_in(variants: &[Variant], requested: &Platform) -> Self {
        let available = variants.iter().map(|v| v.platform.clone()).collect();
        Self::NotInImage { requested: requested.clone(), available }
    }
}

impl crate::hint::Hint for NoVariant {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInImage { available, .. } => {
                let first = available.first()?;
                if first.is_unknown() {
                    return Some("leave --platform out".into());
                }
                Some(format!(
                    "leave --platform out, or ask for one that it has: --platform {first}"
                ))
            }
            _ => Some(
                "build or pull the image for one of the platforms that this machine runs".into(),
            ),
        }
    }
}

/// Chooses the variant to run: the requested platform wins; else Wasm if present and runnable; else the
/// native variant of this machine; else an error that names both sides.
pub fn choose(
    variants: &[Variant],
    requested: Option<&Platform>,
    runnable: &Runnable,
) -> Result<Choice, NoVariant> {
    let available = || variants.iter().map(|v| v.platform.clone()).collect();
    if let Some(requested) = requested {
        let variant =
            nearest(variants, requested).ok_or_else(|| NoVariant::not_in(variants, requested))?;
        if !runnable.runs(&variant.platform) {
            return Err(NoVariant::NotRunnable {
                requested: variant.platform.clone(),
                runnable: runnable.clone(),
            });
        }
        return Ok(Choice::of(variant, |_| Reason::Requested(requested.clone())));
    }
    let wasm = variants.iter().filter(|v| v.platform.is_wasm() && runnable.runs(&v.platform));
    if let Some(variant) = wasm.min_by_key(|v| rank(v, 0)) {
        return Ok(Choice::of(variant, |_| Reason::WasmFirst));
    }
    for native in &runnable.native {
        if let Some(variant) = nearest(variants, native) {
            return Ok(Choice::of(variant, |platform| Reason::NativeForHost(platform.clone())));
        }
    }
    Err(NoVariant::NoneRunnable { available: available(), runnable: runnable.clone() })
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "no variants at all".into();
    }
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(platforms: &[&str]) -> Vec<Variant> {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let variant = |p: &&str| Variant {
            platform: p.parse().unwrap(),
            manifest: digest.parse().unwrap(),
            present: true,
            origin: Origin::Image,
        };
        platforms.iter().map(variant).collect()
    }

    fn machine() -> Runnable {
        Runnable { wasm: true, native: vec!["linux/amd64".parse().unwrap()] }
    }

    fn chosen(platforms: &[&str], requested: Option<&str>) -> Result<String, NoVariant> {
        let requested = requested.map(|r| r.parse().unwrap());
        choose(&variants(platforms), requested.as_ref(), &machine())
            .map(|c| format!("{} because {}", c.variant.platform, c.reason))
    }

    #[test]
    fn wasm_first_unless_asked_otherwise() {
        let both = &["linux/amd64", "wasi/wasm"];
        assert!(
            chosen(both, None).unwrap().starts_with("wasi/wasm because no platform was requested")
        );
        assert!(
            chosen(both, Some("linux/amd64")).unwrap().starts_with("linux/amd64 because platform")
        );
        assert!(chosen(both, Some("wasip2/wasm")).unwrap().starts_with("wasi/wasm"));
        assert!(chosen(&["linux/arm64", "linux/amd64"], None).unwrap().starts_with("linux/amd64"));
    }

    #[test]
    fn a_platform_that_the_image_names_goes_before_one_that_it_does_not() {
        let mut both = variants(&["linux/amd64", "linux/amd64", "linux/386"]);
        both[0].origin = Origin::Configuration;
        let digest = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
        both[1].manifest = digest.parse().unwrap();
        for requested in [None, Some("linux/amd64".parse().unwrap())] {
            let choice = choose(&both, requested.as_ref(), &machine()).unwrap();
            assert_eq!(choice.variant, both[1]);
        }
        assert_eq!(both[0].to_string(), "linux/amd64 (by its configuration)");
    }

    #[test]
    fn what_says_nothing_of_its_platform_is_the_last_resort() {
        let mut all = variants(&["linux/amd64", "linux/amd64"]);
        let host = Platform::host();
        all[0].platform = Platform::new("", "", None);
        all[1].platform = host.clone();
        let machine = Runnable { wasm: true, native: vec![host.clone()] };
        assert_eq!(choose(&all, None, &machine).unwrap().variant, all[1]);
        let only = choose(&all[..1], None, &machine).unwrap();
        assert!(only.assumed);
        assert_eq!(only.variant.platform, host);
        assert!(choose(&all[..1], Some(&host), &machine).unwrap().assumed);
        let other = "linux/s390x".parse().unwrap();
        let error = choose(&all[..1], Some(&other), &machine).unwrap_err();
        assert_eq!(error.to_string(), "the image has no linux/s390x variant; it has unknown");
        assert_eq!(crate::hint::Hint::hint(&error).unwrap(), "leave --platform out");
    }

    #[test]
    fn errors_name_both_sides() {
        let error = chosen(&["linux/arm64", "windows/amd64"], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no variant of the image runs on this machine: the image has linux/arm64, windows/amd64, \
             the machine runs wasi/wasm, linux/amd64"
        );
        let error = chosen(&["wasi/wasm"], Some("linux/amd64")).unwrap_err();
        assert_eq!(error.to_string(), "the image has no linux/amd64 variant; it has wasi/wasm");
        let error = chosen(&["linux/arm64"], Some("linux/arm64")).unwrap_err();
        assert!(matches!(error, NoVariant::NotRunnable { .. }));
        let error = chosen(&["wasi/wasm64"], None).unwrap_err();
        assert!(matches!(error, NoVariant::NoneRunnable { .. }));
    }
}
