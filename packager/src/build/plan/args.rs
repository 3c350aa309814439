//! Variables: what is set before the Dockerfile says anything.

use crate::build::Options;
use crate::dockerfile::predefined::PROXY_ARGS;
use knarr_core::image::Platform;

/// What Linux images without a `PATH` get.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The proxies that a `RUN` gets: each that is given, in both cases of letters, as programs look for one or the other.
pub fn proxies(options: &Options) -> Vec<(String, String)> {
    let mut proxies = Vec::new();
    for name in PROXY_ARGS {
        let mut given = options.args.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let Some((_, any)) = given.next() else { continue };
        for name in [(*name).to_owned(), name.to_ascii_lowercase()] {
            let value = options.args.get(&name).unwrap_or(any).clone();
            proxies.push((name, value));
        }
    }
    proxies
}

/// The build platform: the first native one that this machine runs.
pub fn build_platform(options: &Options) -> Platform {
    options.runnable.native.first().cloned().unwrap_or_else(Platform::host)
}

/// `TARGETPLATFORM` and its like. In scope of every `FROM`, and of a stage that declares them. `stage` is the name of the
/// one that is built.
pub fn platform_args(options: &Options, target: &Platform, stage: &str) -> Vec<(String, String)> {
    let build = build_platform(options);
    let mut args = Vec::new();
    for (prefix, platform) in [("BUILD", &build), ("TARGET", target)] {
        args.push((format!("{prefix}PLATFORM"), platform.to_string()));
        args.push((format!("{prefix}OS"), platform.os.clone()));
        args.push((format!("{prefix}ARCH"), platform.architecture.clone()));
        args.push((format!("{prefix}VARIANT"), platform.variant.clone().unwrap_or_default()));
    }
    args.push(("TARGETSTAGE".into(), stage.to_owned()));
    args
}
