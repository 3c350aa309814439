//! Capabilities: which of them a container gets (capabilities(7); Docker's rules for `--cap-add`, `--cap-drop`).

use super::error::{Doing, Error};
use super::sys;
use knarr_core::spec::Security;
use knarr_core::spec::security::DEFAULT_CAPABILITIES;
use rustix::io::Errno;

/// By number, without `CAP_` (linux/capability.h).
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// With one of these a process gets round the packet filter of a container that may connect to some places only, or takes
/// it away: by packets of its own making, its own rules, another namespace, or a process that is not yet so confined.
const BEYOND_OUTBOUND: &[&str] =
    &["NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    #[cfg(test)]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// With or without `CAP_`.
    pub fn has(self, name: &str) -> bool {
        number(name).is_some_and(|n| self.0 & 1 << n != 0)
    }

    /// What this process could hand on: its bounding set.
    pub fn own() -> Self {
        let known = (0..64).map_while(|n| Some((n, sys::bounding_has(n)?)));
        Self(known.fold(0, |all, (n, has)| all | u64::from(has) << n))
    }

    /// Whether this process may use a capability now.
    pub fn effective_has(name: &str) -> bool {
        let effective = sys::effective_capabilities().unwrap_or(0);
        Self(effective).has(name)
    }

    /// The capabilities of a container.
    ///
    /// `ALL` and `--privileged` mean all that this process has; one that is named must be had.
    pub fn of(security: &Security) -> Result<Self, Error> {
        let own = Self::own();
        if security.privileged {
            return Ok(own);
        }
        let parse = |names: &[String]| -> Result<(bool, u64), Error> {
            let mut set = (false, 0);
            for name in names {
                if name.eq_ignore_ascii_case("ALL") {
                    set.0 = true;
                } else {
                    let number = number(name)
                        .ok_or_else(|| Error::UnknownCapability { name: name.clone() })?;
                    set.1 |= 1 << number;
                }
            }
            Ok(set)
        };
        let (add_all, add) = parse(&security.cap_add)?;
        let (drop_all, drop) = parse(&security.cap_drop)?;
        if let Some(missing) = (0..NAMES.len()).find(|n| add & !own.0 & 1 << n != 0) {
            return Err(Error::MissingCapability { name: NAMES[missing].into() });
        }
        let default = DEFAULT_CAPABILITIES.iter().filter_map(|name| number(name));
        let default = default.fold(0, |all, n| all | 1 << n);
        let base = if add_all {
            own.0
        } else if drop_all {
            0
        } else {
            default & own.0
        };
        Ok(Self(base & !drop | add))
    }

    /// [`Self::of`] for a container that may connect to some places only if `outbound`. It is not given what would make that
    /// vain, and whoever asks for it is refused.
    pub fn of_container(security: &Security, outbound: bool) -> Result<Self, Error> {
        let all = Self::of(security)?;
        if !outbound {
            return Ok(all);
        }
        let asked = |name: &str| {
            let named = security.cap_add.iter().filter_map(|added| number(added));
            named.into_iter().any(|added| Some(added) == number(name))
        };
        let default = |name: &str| DEFAULT_CAPABILITIES.contains(&name) && !asked(name);
        match BEYOND_OUTBOUND.iter().find(|name| all.has(name) && !default(name)) {
            Some(name) => Err(Error::OutboundWithCapability { name: (*name).to_owned() }),
            None => Ok(all.without(BEYOND_OUTBOUND)),
        }
    }

    /// What `knarr exec --privileged` gives: everything this process has, within what the container's network leaves.
    pub fn privileged(outbound: bool) -> Self {
        Self::own().without(if outbound { BEYOND_OUTBOUND } else { &[] })
    }

    fn without(self, names: &[&str]) -> Self {
        Self(names.iter().filter_map(|name| number(name)).fold(self.0, |set, n| set & !(1 << n)))
    }

    /// Takes every other capability out of the bounding set of this process: even a set-user-ID program in the
    /// container can't get it.
    pub fn bound(self) -> Result<(), Error> {
        for number in (0..64).filter(|n| self.0 & 1 << n == 0) {
            match sys::bounding_drop(number) {
                Err(Errno::INVAL) => break, // beyond the kernel's last
                other => other.doing("drop a capability of", "the container")?,
            }
        }
        Ok(())
    }

    /// Makes these the capabilities of this process, with none inheritable or ambient (CVE-2022-24769).
    pub fn assume(self) -> Result<(), Error> {
        sys::set_capabilities(self.0, self.0, 0)
            .doing("set the capabilities of", "the container")?;
        sys::ambient_clear().doing("clear the ambient capabilities of", "the container")
    }
}

fn number(name: &str) -> Option<usize> {
    let name = match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
        _ => name,
    };
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str]) -> Result<u64, Error> {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let security =
            Security { cap_add: names(add), cap_drop: names(drop), ..Security::default() };
        Capabilities::of(&security).map(Capabilities::bits)
    }

    #[test]
    fn what_an_allow_list_leaves() {
        let of = |add: &[&str]| {
            let cap_add = add.iter().map(|s| (*s).to_owned()).collect();
            let security = Security { cap_add, ..Security::default() };
            Capabilities::of_container(&security, true)
        };
        assert_eq!(of(&[]).unwrap().bits(), 0xa804_25fb & !(1 << 13));
        assert!(of(&["SYS_TIME"]).is_ok());
        for name in BEYOND_OUTBOUND.iter().chain(&["ALL", "cap_net_raw"]) {
            assert!(matches!(of(&[name]), Err(Error::OutboundWithCapability { .. })), "{name}");
        }
        let privileged = Security { privileged: true, ..Security::default() };
        assert!(Capabilities::of_container(&privileged, true).is_err());
        let all = Capabilities::privileged(true);
        assert!(BEYOND_OUTBOUND.iter().all(|name| !all.has(name)) && all.has("CHOWN"));
    }

    #[test]
    fn docker_s_rules() {
        assert_eq!(of(&[], &[]).unwrap(), 0xa804_25fb);
        assert_eq!(of(&[], &["ALL"]).unwrap(), 0);
        assert_eq!(of(&["net_bind_service"], &["ALL"]).unwrap(), 1 << 10);
        assert_eq!(of(&["CAP_NET_ADMIN"], &[]).unwrap(), 0xa804_25fb | 1 << 12);
        assert_eq!(of(&[], &["CHOWN", "cap_kill"]).unwrap(), 0xa804_25fb & !(1 | 1 << 5));
        let own = Capabilities::own();
        assert_eq!(of(&["ALL"], &["MKNOD"]).unwrap(), own.bits() & !(1 << 27));
        assert!(own.has("CAP_CHOWN") && own.has("chown"));
        assert!(matches!(of(&["FLY"], &[]), Err(Error::UnknownCapability { .. })));
    }
}
