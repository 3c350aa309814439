//! The process that keeps a user's networks while somebody uses them.

use super::error::{Doing, Error};
use super::namespaces::Namespaces;
use super::outside;
use super::survivors;
use super::uplink::Way;
use crate::engine::native::sys::reset_signals;
use crate::monitor::in_one_line;
use crate::sys::process;
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::Instant;

/// What a keeper says when it listens, before anything else.
pub(super) const READY: &str = "ready";

/// How long it waits for the next container: commands of one script follow each other faster.
const LINGER: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// The whole of `knarr internal networks`, `… namespaces` and `… detach`, after those two words.
pub fn entry(name: &str, mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(data), Some(run)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let root = Root::new(PathBuf::from(data), PathBuf::from(run));
    let result = match name {
        "namespaces" => {
            let survivor = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
            Namespaces::hold(&root, survivor).map_err(|e| in_one_line(&e))
        }
        "detach" => detach(&root, arguments.next()),
        _ => keep(&root).map_err(|e| in_one_line(&e)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // to whoever started it
            let _ = write!(std::io::stdout(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn detach(root: &Root, id: Option<OsString>) -> Result<(), String> {
    let id = id.and_then(|id| id.to_str()?.parse().ok()).ok_or("no container is named")?;
    let _networks = super::enter_existing(root).map_err(|e| in_one_line(&e))?;
    crate::net::detach(root, &id).map_err(|e| in_one_line(&e))
}

fn keep(root: &Root) -> Result<(), Error> {
    process::close_inherited();
    // a monitor has them blocked, and what we start would be deaf
    reset_signals();
    rustix::process::setsid().doing("leave the session")?;
    let Place { namespaces, mut inside, users } = Place::take(root)?;
    let mut way = Way::new(root, inside.id());
    if !users.is_empty() {
        // they had one
        way.open();
    }
    let listener = listen_at(root)?;
    // whoever started us waits for the end of this output
    let said = write!(std::io::stdout(), "{READY}").and_then(|()| std::io::stdout().flush());
    said.doing("say that the networks are there")?;
    let null =
        fsx::open_with(std::path::Path::new("/dev/null"), std::fs::OpenOptions::new().write(true))?;
    rustix::stdio::dup2_stdout(&null).doing("let the output go")?;
    serve(&listener, &namespaces, users, &mut way)?;
    survivors::unmark(root)?;
    // from here on nobody can connect; who just did will find that nobody answers
    fsx::remove_file(&root.network_keeper())?;
    drop(way);
    drop(inside.stdin.take());
    inside.wait().doing("wait for the process in the networks")?;
    Ok(())
}

/// Where the networks are.
struct Place {
    namespaces: Namespaces,
    inside: Child,
    /// Who is there already.
    users: Vec<OwnedFd>,
}

impl Place {
    /// That of a keeper that was killed, if there is one to be had, or else a new one.
    fn take(root: &Root) -> Result<Self, Error> {
        let survivors = survivors::find(root)?;
        // one may end just now
        let taken = survivors.iter().find_map(|one| Namespaces::make(root, Some(one.pid)).ok());
        let (namespaces, inside, users) = match taken {
            Some((namespaces, inside)) => {
                let users = survivors.into_iter().map(|one| one.process.into()).collect();
                (namespaces, inside, users)
            }
            None => {
                let (namespaces, inside) = Namespaces::make(root, None)?;
                (namespaces, inside, Vec::new())
            }
        };
        survivors::mark(root, inside.id())?;
        Ok(Self { namespaces, inside, users })
    }
}

fn listen_at(root: &Root) -> Result<OwnedFd, Error> {
    let path = root.network_keeper();
    // of a keeper that was killed: we are started under a lock, when none answers
    fsx::remove_file(&path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .doing("make a socket")?;
    let address = SocketAddrUnix::new(&path).doing("name the keeper's socket")?;
    bind(&socket, &address).doing("bind the keeper's socket")?;
    listen(&socket, 64).doing("listen on the keeper's socket")?;
    Ok(socket)
}

/// Hands out the namespaces, a way out of them, and sockets of the host's, until nobody has used them for a while. An uplink that ends is
/// replaced, a few times if none lasts.
fn serve(
    listener: &OwnedFd,
    namespaces: &Namespaces,
    mut users: Vec<OwnedFd>,
    way: &mut Way<'_>,
) -> Result<(), Error> {
    loop {
        let mut all = vec![PollFd::new(listener, PollFlags::IN)];
        all.extend(users.iter().map(|user| PollFd::new(user, PollFlags::IN)));
        let watched = way.watch();
        all.extend(watched.iter().map(|process| PollFd::new(process, PollFlags::IN)));
        let now = Instant::now();
        let pause = way.deadline().map(|at| at.saturating_duration_since(now));
        let patience = match users.is_empty() {
            true => Some(LINGER),
            false => pause.and_then(|pause| pause.try_into().ok()),
        };
        match poll(&mut all, patience.as_ref()) {
            Ok(0) if users.is_empty() => return Ok(()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e).doing("wait for containers"),
        }
        let mut ready: Vec<bool> = all[1..].iter().map(|user| !user.revents().is_empty()).collect();
        let arrived = !all[0].revents().is_empty();
        drop(all);
        if watched.is_some() && ready.pop() == Some(true) {
            way.ended();
        }
        way.tick();
        let mut ready = ready.into_iter();
        users.retain(|user| {
            !ready.next().unwrap_or(false) || outside::answer(user, || way.open()).is_some()
        });
        if arrived && let Ok(user) = accept_with(listener, SocketFlags::CLOEXEC) {
            // one that went away at once is none
            if namespaces.send(&user).is_ok() {
                users.push(user);
            }
        }
    }
}
