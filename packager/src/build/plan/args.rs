//! Variables: what is set before the Dockerfile says anything.

use crate::build::Options;
use knarr_core::image::Platform;

/// Known to every `RUN` if given with `--build-arg`, declared or not, and no part of any cache key.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What Linux images without a `PATH` get.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name)
}

/// Given proxies, sorted.
pub fn proxies(options: &Options) -> Vec<(String, String)> {
    let is_given = |(name, _): &(&String, &String)| is_proxy(name);
    options.args.iter().filter(is_given).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The build platform: the first native one that this machine runs.
pub fn build_platform(options: &Options) -> Platform {
    options.runnable.native.first().cloned().unwrap_or_else(Platform::host)
}

/// `TARGETPLATFORM` and its like. In scope of every `FROM`, and of a stage that declares them.
pub fn platform_args(options: &Options, target: &Platform) -> Vec<(String, String)> {
    let build = build_platform(options);
    let mut args = Vec::new();
    for (prefix, platform) in [("BUILD", &build), ("TARGET", target)] {
        args.push((format!("{prefix}PLATFORM"), platform.to_string()));
        args.push((format!("{prefix}OS"), platform.os.clone()));
        args.push((format!("{prefix}ARCH"), platform.architecture.clone()));
        args.push((format!("{prefix}VARIANT"), platform.variant.clone().unwrap_or_default()));
    }
    args.push(("TARGETSTAGE".into(), options.target.clone().unwrap_or_else(|| "default".into())));
    args
}
