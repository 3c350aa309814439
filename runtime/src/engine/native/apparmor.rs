//! AppArmor, where the host has it: the profile under which a container's programs run.
//!
//! The default profile means what Docker's `docker-default` does. The kernel forgets profiles at a reboot, so the one who
//! starts the first container after it loads it, by the host's own `apparmor_parser`. Without that program, which comes with
//! every host that uses AppArmor, there is no default profile, as with Docker.

use super::error::{Doing, Error};
use super::protect::Top;
use knarr_core::fsx;
use knarr_core::spec::{AppArmor, Security};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The default profile's name.
const NAME: &str = "knarr-default";
const PROFILE: &str = include_str!("apparmor.profile");
const PARSER: &str = "/sbin/apparmor_parser";

/// The profile of a container, loaded; `None`: it has none, or the host has no AppArmor.
pub fn of(security: &Security, superuser: bool) -> Result<Option<String>, Error> {
    let wanted = match &security.apparmor {
        AppArmor::Unconfined => return Ok(None),
        AppArmor::Default if security.privileged => return Ok(None),
        AppArmor::Default => None,
        AppArmor::Profile(name) => Some(name),
    };
    if !is_enabled() {
        return Ok(None);
    }
    match wanted {
        Some(name) => Ok(Some(name.clone())),
        // only the superuser loads profiles
        None if superuser && Path::new(PARSER).exists() => {
            if !is_loaded(NAME) {
                load()?;
            }
            Ok(Some(NAME.to_owned()))
        }
        None => Ok(None),
    }
}

/// The name of the profile under which a container's programs run, for `inspect`; empty where there is none to be had.
pub fn shown(security: &Security, superuser: bool) -> String {
    match &security.apparmor {
        AppArmor::Profile(name) => name.clone(),
        AppArmor::Unconfined => "unconfined".to_owned(),
        AppArmor::Default if !is_enabled() => String::new(),
        AppArmor::Default if security.privileged => "unconfined".to_owned(),
        AppArmor::Default if superuser && Path::new(PARSER).exists() => NAME.to_owned(),
        AppArmor::Default => String::new(),
    }
}

fn is_enabled() -> bool {
    let enabled = fsx::read_optional(Path::new("/sys/module/apparmor/parameters/enabled"));
    enabled.is_ok_and(|text| text.is_some_and(|text| text.starts_with(b"Y")))
}

fn is_loaded(name: &str) -> bool {
    let list = fsx::read_optional(Path::new("/sys/kernel/security/apparmor/profiles"));
    let list = list.ok().flatten().unwrap_or_default();
    let list = String::from_utf8_lossy(&list);
    list.lines().any(|line| line.rsplit_once(" (").is_some_and(|(loaded, _)| loaded == name))
}

fn load() -> Result<(), Error> {
    const DOING: (&str, &str) = ("load the AppArmor profile", NAME);
    let mut command = Command::new(PARSER);
    command.args(["--replace", "--skip-cache"]).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut parser = command.spawn().doing(DOING.0, DOING.1)?;
    if let Some(mut input) = parser.stdin.take() {
        // one that ends early says so by its status
        let _ = input.write_all(PROFILE.as_bytes());
    }
    match parser.wait().doing(DOING.0, DOING.1)?.success() {
        true => Ok(()),
        false => Err(Errno::INVAL).doing(DOING.0, DOING.1),
    }
}

/// The next program of this process runs under a profile (apparmor_parser(8), "change_onexec").
pub fn apply(name: &str) -> Result<(), Error> {
    const OPERATION: &str = "confine by the AppArmor profile";
    let open = |path: &str| rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let file = match open("/proc/self/attr/apparmor/exec") {
        Err(Errno::NOENT) => open("/proc/self/attr/exec"),
        opened => opened,
    }
    .doing(OPERATION, name)?;
    if !Top::Proc.has(&file) {
        return Err(Errno::NODEV).doing(OPERATION, name);
    }
    rustix::io::write(file, format!("exec {name}").as_bytes()).map(drop).doing(OPERATION, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_has_the_name_by_which_it_is_used() {
        assert!(PROFILE.contains(&format!("profile {NAME} flags=")), "{PROFILE}");
        assert!(PROFILE.contains(&format!("peer={NAME},")));
    }

    #[test]
    fn who_has_none() {
        let with = |apparmor, privileged| {
            of(&Security { apparmor, privileged, ..Security::default() }, true).unwrap()
        };
        assert_eq!(with(AppArmor::Unconfined, false), None);
        assert_eq!(with(AppArmor::Default, true), None);
        let own = with(AppArmor::Profile("own".into()), true);
        assert_eq!(own.is_some(), is_enabled());
    }
}
