//! User, groups, capabilities, no new privileges.

use super::super::error::Error;
use super::user::Identity;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

/// Becomes the user, if this process may, and drops every capability.
///
/// An unprivileged process stays who it is: its rights are its user's, and the files are that user's as well.
pub(super) fn drop(identity: &Identity) -> Result<(), Error> {
    let failed = |operation: &'static str| move |e: Errno| Error::confine(operation, e);
    let held = capabilities(None).map_err(failed("reading capabilities"))?.effective;
    if held.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter() {
            match remove_capability_from_bounding_set(capability) {
                Ok(()) | Err(Errno::INVAL) => {} // this kernel has fewer
                Err(e) => return Err(Error::confine("dropping capabilities", e)),
            }
        }
    }
    if held.contains(CapabilitySet::SETUID | CapabilitySet::SETGID) {
        become_user(identity)?;
    }
    set_no_new_privs(true).map_err(failed("forbidding new privileges"))?;
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(e) => return Err(Error::confine("dropping capabilities", e)),
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(failed("dropping capabilities"))
}

fn become_user(identity: &Identity) -> Result<(), Error> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let groups: Vec<Gid> = identity.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    match set_thread_groups(&groups) {
        // a user namespace made without the right to change groups (user_namespaces(7), "deny")
        Ok(()) | Err(Errno::PERM) => {}
        // a group that the user namespace does not have
        Err(Errno::INVAL) => {}
        Err(e) => return Err(Error::confine("changing groups", e)),
    }
    let changed =
        set_thread_res_gid(gid, gid, gid).and_then(|()| set_thread_res_uid(uid, uid, uid));
    match changed {
        Ok(()) => Ok(()),
        // a user namespace that has only its owner: every file of the guest is the owner's anyhow
        Err(Errno::INVAL) if !knarr_core::sys::gives_owners() => Ok(()),
        Err(e) => Err(Error::confine("changing the user", e)),
    }
}
