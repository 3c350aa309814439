//! `--security-opt`, `--privileged` and capabilities.

use super::container::Options;
use super::usage;
use super::value::capability;
use crate::error::Failure;
use knarr_core::spec::{AppArmor, Seccomp, Security};

/// What the options allow a container.
pub fn security(options: &Options) -> Result<Security, Failure> {
    let mut security = Security {
        cap_add: options.cap_add.iter().map(|c| capability(c)).collect(),
        cap_drop: options.cap_drop.iter().map(|c| capability(c)).collect(),
        privileged: options.privileged,
        ..Security::default()
    };
    for option in &options.security_opt {
        let (name, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("no-new-privileges", None) => security.no_new_privileges = true,
            ("no-new-privileges", Some(value)) => {
                security.no_new_privileges =
                    usage::switch_value(value).ok_or_else(|| invalid_security_option(option))?;
            }
            ("seccomp", Some("unconfined")) => security.seccomp = Seccomp::Unconfined,
            ("seccomp", Some("builtin" | "default")) => security.seccomp = Seccomp::Default,
            ("seccomp", Some(file)) => {
                let text = knarr_core::fsx::read_to_string(file.as_ref())?;
                security.seccomp = Seccomp::Profile(text);
            }
            ("apparmor", Some("unconfined")) => security.apparmor = AppArmor::Unconfined,
            ("apparmor", Some("knarr-default" | "docker-default")) => {
                security.apparmor = AppArmor::Default;
            }
            ("apparmor", Some(name))
                if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                security.apparmor = AppArmor::Profile(name.to_owned());
            }
            // containers get no label, as by Docker's default
            ("label", Some("disable")) => {}
            ("label", Some(_)) => {
                return Err(Failure::usage(format!("{option:?}: containers get no label"))
                    .hint("leave it out; label=disable is what holds"));
            }
            _ => return Err(invalid_security_option(option)),
        }
    }
    Ok(security)
}

fn invalid_security_option(option: &str) -> Failure {
    Failure::usage(format!("{option:?} is not a security option"))
        .hint(
            "write seccomp=FILE, seccomp=unconfined, apparmor=PROFILE, apparmor=unconfined, label=disable or \
             no-new-privileges",
        )
}
