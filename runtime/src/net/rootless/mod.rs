//! Networks of an ordinary user: bridges, rules and namespaces inside a network namespace that the user owns.
//!
//! ```text
//!   the host's namespaces           │ the user's own: user, network and mount namespace
//!                                   │
//!   keeper ── holds them ───────────┼─► bridges, rules, shared namespaces of Wasm containers
//!      │ (socket, hands them out)   │        ▲
//!   pasta or slirp4netns ───────────┼────────┤ the way out
//!   monitor ── enters at its start ─┼────────┤ and works there as the superuser does on the host
//!   listeners of published ports ───┼────────┘ their monitor forwards what arrives
//! ```
//!
//! The keeper starts with the first container and ends when the last one has ended and nobody came for a while. It finds
//! out by the connections: each monitor keeps its own open as long as it lives, however it ends. It also opens the sockets
//! from which monitors ask the host's name servers.
//!
//! When the keeper is killed, the namespaces live on with those inside ([`survivors`]). Whoever comes next starts another keeper,
//! which goes on with them.
//!
//! The user is root in that user namespace, and the user's subordinate ids are the others in it. A build, which writes their files
//! and starts containers, is in that one as well, and not in its networks.

mod clients;
mod end;
mod error;
mod keeper;
mod namespaces;
mod outside;
mod packet;
mod survivors;
mod uplink;

pub(super) use clients::Sources;
pub(crate) use end::end;
pub use error::Error;
pub use keeper::entry;
pub(super) use outside::Outside;

use super::ports::{self, Held};
use crate::engine::UserNamespaces;
use crate::engine::native::sys::owner_of;
use error::Doing;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::Driver;
use knarr_core::spec::{ContainerSpec, NetworkMode, Port, Protocol};
use knarr_core::sys::{self, Owners};
use namespaces::Namespaces;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user's networks are there as long as somebody has this.
#[derive(Debug)]
pub struct Entered {
    _connection: OwnedFd,
    /// What leads out of the networks; `None`: nothing does, as neither pasta nor slirp4netns could be had.
    pub uplink: Option<String>,
    held: Vec<Held>,
}

impl Entered {
    /// The published ports, with what was chosen.
    pub fn ports(&self) -> Vec<Port> {
        self.held.iter().map(|held| held.port.clone()).collect()
    }

    /// What holds them on the host.
    pub fn held(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }
}

/// For a container without an uplink.
pub fn no_uplink() -> String {
    let reason = uplink::lacking().unwrap_or("neither pasta nor slirp4netns works here");
    format!("nothing leads out of this user's networks: {reason}")
}

/// What to tell before a start on networks: that they lead nowhere although they were made to, and why.
pub fn shortcoming(root: &Root, network: &NetworkMode) -> Option<String> {
    let NetworkMode::Networks(wishes) = network else { return None };
    let should_lead_out = |name: &str| {
        let found = super::store::load(root, name).ok().flatten();
        found.is_some_and(|network| network.driver == Driver::Bridge && !network.internal)
    };
    let concerns = !sys::is_superuser()
        && wishes.iter().any(|wish| should_lead_out(&wish.network))
        && uplink::lacking().is_some();
    concerns.then(no_uplink)
}

/// Which network a container gets that asks for none, and why, for [`knarr info`]: of native and of Wasm containers.
pub fn defaults() -> [String; 2] {
    let bridge = || "bridge".to_owned();
    if sys::is_superuser() {
        return [bridge(), bridge()];
    }
    let namespaces = UserNamespaces::detect();
    match (namespaces.remedy(), uplink::lacking()) {
        (None, None) => ["bridge, with pasta or slirp4netns as the way out".to_owned(), bridge()],
        (None, Some(reason)) => {
            [format!("bridge, with no way out: {reason}"), format!("loopback: {reason}")]
        }
        (Some(remedy), _) => [format!("none: {remedy}"), format!("loopback: {remedy}")],
    }
}

/// How often a keeper may be on its way out just when we come.
const ATTEMPTS: usize = 5;

/// Whether this process has to enter an ordinary user's networks before it can change them.
pub fn is_outside() -> bool {
    !rustix::process::geteuid().is_root() || !sys::is_superuser() && !owns_network()
}

/// Whether the network namespace belongs to the user namespace of this process.
fn owns_network() -> bool {
    let identity = |fd: &dyn AsFd| rustix::fs::fstat(fd.as_fd()).map(|s| (s.st_dev, s.st_ino)).ok();
    let open = |name: &str| fsx::open(&Path::new("/proc/self/ns").join(name)).ok();
    let (Some(network), Some(user)) = (open("net"), open("user")) else { return false };
    // it does not tell of a namespace further out
    owner_of(&network).ok().is_some_and(|owner| identity(&owner) == identity(&user))
}

/// Whether an ordinary user can have networks with a way out.
pub fn is_at_hand() -> bool {
    UserNamespaces::detect() == UserNamespaces::Available && uplink::lacking().is_none()
}

/// Moves this process, which must have a single thread, into the namespaces of the user's networks if that is where the
/// container belongs, and there into a mount namespace of its own, as [`sys::enter_user_namespace`] does. The networks are
/// made if need be. Published ports are bound on the host before.
///
/// What it mounts below [`Root::networks_run`] is seen by all who enter.
pub fn enter(root: &Root, spec: &ContainerSpec) -> Result<Option<Entered>, super::Error> {
    if !is_outside() || !belongs(root, spec)? {
        return Ok(None);
    }
    let held = held(root, &spec.ports)?;
    let (connection, namespaces) = connected(root)?;
    let uplink = outside::ask_way(&connection).doing("ask for a way out of the networks")?;
    namespaces.enter()?;
    // with the networks that were made by those who had no need to enter
    super::reload(root)?;
    Ok(Some(Entered { _connection: connection, uplink, held }))
}

/// Gives this process a mount namespace of its own, unless it got one when it entered. `others`: whether an ordinary user needs
/// more ids there than that user's own.
pub fn separate(
    entered: Option<&Entered>,
    others: impl FnOnce() -> bool,
) -> Result<(), super::Error> {
    match (sys::is_superuser(), entered) {
        (true, _) => Ok(sys::enter_mount_namespace()?),
        (false, None) if others() => Ok(sys::enter_user_namespace().map_err(Error::Separate)?),
        (false, None) => Ok(sys::enter_user_namespace_alone().map_err(Error::Separate)?),
        (false, Some(_)) => Ok(()),
    }
}

/// Moves this process, which must have a single thread, to where it can make files of the user's subordinate ids, and change
/// and look into those of containers. Nothing happens where that is so already, or where the user has one id only, as
/// [`sys::owners`] says afterwards too if it turns out that the others cannot be had. `for_start`: it is going to start
/// containers, so that it must be where their networks are.
pub fn among_owners(root: &Root, for_start: bool) {
    if rustix::process::geteuid().is_root() || sys::owners() != Owners::Mapped {
        return;
    }
    let keeper = match for_start {
        true => connected(root).map(Some),
        false => ask(root),
    };
    if let Ok(Some((connection, namespaces))) = keeper
        && namespaces.join_user().is_ok()
    {
        // the namespaces are there as long as this process is
        std::mem::forget(connection);
        return;
    }
    // where no networks can be had, files can
    let _ = sys::enter_user_namespace();
}

fn belongs(root: &Root, spec: &ContainerSpec) -> Result<bool, super::Error> {
    let id = match &spec.network {
        NetworkMode::Networks(_) => &spec.id,
        NetworkMode::Container(other) => other,
        NetworkMode::Host | NetworkMode::None => return Ok(false),
    };
    let memberships = super::memberships(root, id)?;
    // one that has left all its networks is not to be on the host's
    let has_left = memberships.is_empty() && *id == spec.id;
    Ok(has_left || memberships.iter().any(|(network, _)| network.driver == Driver::Bridge))
}

fn held(root: &Root, wishes: &[Port]) -> Result<Vec<Held>, super::Error> {
    let mut held = Vec::new();
    for wish in wishes {
        if wish.protocol == Protocol::Sctp {
            return Err(Error::Protocol { port: wish.container_port }.into());
        }
        held.extend(ports::claim(root, wish, |_| true)?);
    }
    Ok(held)
}

/// Enters the user's networks if there are any just now: for those who only change what is there.
pub fn enter_existing(root: &Root) -> Result<Option<Entered>, Error> {
    let Some((connection, namespaces)) = existing(root)? else { return Ok(None) };
    namespaces.enter()?;
    Ok(Some(Entered { _connection: connection, uplink: None, held: Vec::new() }))
}

/// [`super::detach`] for a process that is not inside, by one that is. `false`: there are no networks any more.
pub(super) fn detach(root: &Root, id: &ContainerId) -> Result<bool, Error> {
    // the connection keeps the networks for as long
    let Some(_networks) = existing(root)? else { return Ok(false) };
    let mut command = internal("detach", root);
    let output = command.arg(id.as_str()).output().doing("start a process in the networks")?;
    match output.status.success() {
        true => Ok(true),
        false => {
            Err(Error::Inside { message: String::from_utf8_lossy(&output.stdout).into_owned() })
        }
    }
}

type Answer = (OwnedFd, Namespaces);

/// `None`: there are no networks just now.
fn existing(root: &Root) -> Result<Option<Answer>, Error> {
    match ask(root)? {
        None if !survivors::find(root)?.is_empty() => connected(root).map(Some),
        answer => Ok(answer),
    }
}

fn connected(root: &Root) -> Result<Answer, Error> {
    if let Some(answer) = ask(root)? {
        return Ok(answer);
    }
    let folder = root.networks_run();
    sys::create_private_dir_all(&folder)?;
    let _starting = Lock::exclusive_directory(&folder)?;
    for _ in 0..ATTEMPTS {
        if let Some(answer) = ask(root)? {
            return Ok(answer);
        }
        start(root)?;
    }
    Err(Error::Unsteady)
}

/// `None`: there is no keeper, or it is about to end.
fn ask(root: &Root) -> Result<Option<Answer>, Error> {
    let Some(socket) = connect_to_keeper(root)? else { return Ok(None) };
    let received = Namespaces::receive(&socket).doing("take the namespaces of the networks")?;
    Ok(received.map(|namespaces| (socket, namespaces)))
}

/// `None`: there is no keeper.
fn connect_to_keeper(root: &Root) -> Result<Option<OwnedFd>, Error> {
    let path = root.network_keeper();
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .doing("make a socket")?;
    let address = SocketAddrUnix::new(&path).doing("name the keeper's socket")?;
    use rustix::io::Errno;
    match connect(&socket, &address) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(e) => Err(e).doing("reach the keeper of the networks"),
    }
}

/// Starts a keeper, and waits until it listens.
fn start(root: &Root) -> Result<(), Error> {
    let mut keeper =
        internal("networks", root).spawn().doing("start the keeper of the networks")?;
    let mut message = String::new();
    if let Some(mut output) = keeper.stdout.take() {
        output.read_to_string(&mut message).doing("hear from the keeper of the networks")?;
    }
    match message.strip_prefix(keeper::READY) {
        // it outlives this process, which does not wait for its end
        Some(_) => Ok(()),
        None => {
            let _ = keeper.wait();
            Err(Error::Keeper { message })
        }
    }
}

/// A process of ours. What goes wrong in it, it prints.
fn internal(name: &str, root: &Root) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("knarr").args(["internal", name]).arg(root.data()).arg(root.run());
    // where pasta and slirp4netns are
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    command.env_clear().env("PATH", path).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}
