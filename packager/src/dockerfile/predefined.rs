//! Arguments that exist without an `ARG`.

use knarr_core::image::Platform;

/// In scope of every `FROM`; in a stage after an `ARG` that names them.
pub const PLATFORM_ARGS: &[&str] = &[
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// Build arguments that a `RUN` sees without an `ARG`, and that neither the image nor the cache remembers. They may be
/// given in any case of letters.
pub const PROXY_ARGS: &[&str] =
    &["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Whether a build argument is one of [`PROXY_ARGS`].
pub fn is_proxy_arg(name: &str) -> bool {
    PROXY_ARGS.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
}

/// The values of [`PLATFORM_ARGS`] for one build: `build` is the machine's platform, `target` the image's, and `stage`
/// the one that is asked for (`default` if none is).
pub fn platform_args(
    build: &Platform,
    target: &Platform,
    stage: Option<&str>,
) -> Vec<(&'static str, String)> {
    let variant = |platform: &Platform| platform.variant.clone().unwrap_or_default();
    vec![
        ("BUILDPLATFORM", build.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", String::new()),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", variant(build)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", String::new()),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", variant(target)),
        ("TARGETSTAGE", stage.unwrap_or("default").to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_argument_has_a_value() {
        let args =
            platform_args(&"linux/amd64".parse().unwrap(), &"linux/arm/v7".parse().unwrap(), None);
        assert_eq!(args.iter().map(|(name, _)| *name).collect::<Vec<_>>(), PLATFORM_ARGS);
        let value = |name| args.iter().find(|(own, _)| *own == name).unwrap().1.as_str();
        assert_eq!(
            (value("BUILDPLATFORM"), value("TARGETPLATFORM")),
            ("linux/amd64", "linux/arm/v7")
        );
        assert_eq!((value("TARGETVARIANT"), value("BUILDVARIANT")), ("v7", ""));
    }

    #[test]
    fn proxies_in_any_case() {
        assert!(is_proxy_arg("HTTP_PROXY") && is_proxy_arg("no_proxy"));
        assert!(is_proxy_arg("Http_Proxy") && !is_proxy_arg("PROXY"));
    }
}
