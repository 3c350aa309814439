//! An agent's socket that the user of a step may use, whoever that is: one of our own, whose connections are handed on.

use super::Error;
use crate::sys::resolve::{open_root, path_of};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, chmodat, chownat};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

/// A socket that listens already; nobody is served before [`Relay::start`].
pub(super) struct Relay {
    listener: UnixListener,
    agent: PathBuf,
}

impl Relay {
    /// Makes the socket `name` in a folder of the step's own.
    pub fn listen(
        folder: &Path,
        name: &str,
        agent: &Path,
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<Self, Error> {
        // checked here, where somebody hears of it
        UnixStream::connect(agent)
            .map_err(|source| mount("connect to the agent", agent, source))?;
        let directory = open_root(folder).map_err(|e| mount("open", folder, e.into()))?;
        // paths of sockets are short, those of folders need not be
        let path = path_of(&directory).join(name);
        let listener =
            UnixListener::bind(&path).map_err(|e| mount("listen on", &folder.join(name), e))?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(CWD, &path, uid, gid, AtFlags::empty())
            .and_then(|()| chmodat(CWD, &path, Mode::from_raw_mode(mode), AtFlags::empty()))
            .map_err(|e| mount("give away", &folder.join(name), e.into()))?;
        Ok(Self { listener, agent: agent.to_owned() })
    }

    /// Serves until this process ends, in threads: for the time after the guest was forked.
    pub fn start(self) -> Result<(), Error> {
        let serve = move || {
            for client in self.listener.incoming().map_while(Result::ok) {
                // an agent that is gone, or no memory for a thread: the client sees the end of its connection
                let agent = UnixStream::connect(&self.agent);
                let _ = agent.and_then(|agent| relay(client, agent));
            }
        };
        let started = thread::Builder::new().spawn(serve);
        started.map(drop).map_err(|e| Error::system("serve the agent's socket", e))
    }
}

fn relay(client: UnixStream, agent: UnixStream) -> io::Result<()> {
    for (mut from, mut to) in [(client.try_clone()?, agent.try_clone()?), (agent, client)] {
        thread::Builder::new().spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })?;
    }
    Ok(())
}

fn mount(operation: &'static str, subject: &Path, source: io::Error) -> Error {
    Error::Mount { operation, subject: subject.display().to_string(), source }
}
