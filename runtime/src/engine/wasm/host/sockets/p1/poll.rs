//! Waiting for sockets, and for anything else at the same time (`poll_oneoff`).

use super::super::super::Host1;
use super::data::{SUCCESS, bytes};
use super::{Socket, Sockets};
use rustix::event::PollFlags;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll as Ready;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as wasi;
use wiggle::GuestMemory;

/// Bytes of a `subscription`.
const SUBSCRIPTION: usize = 48;
/// Bytes of an `event`.
pub(super) const EVENT: usize = 32;
/// More than a program can wait for.
const SUBSCRIPTIONS: usize = 65_536;

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;
/// `clockid::realtime` and `clockid::monotonic`
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
/// `subclockflags::subscription_clock_abstime`
const ABSOLUTE: u16 = 1;
/// `eventrwflags::fd_readwrite_hangup`
const HANGUP: u8 = 1;

type Event = [u8; EVENT];

/// What a guest waits for when it waits for sockets.
pub(super) struct Poll {
    sockets: Vec<Waited>,
    clocks: Vec<(u64, Instant)>,
    /// Subscriptions for wasmtime-wasi.
    others: Vec<u8>,
}

struct Waited {
    userdata: u64,
    kind: u8,
    number: u32,
    sockets: Vec<Arc<Socket>>,
}

impl Poll {
    /// `None` if there are no sockets among the subscriptions, or they are not in the memory. `files` are no listeners.
    pub fn read(
        memory: &[u8],
        start: i32,
        count: i32,
        known: &Sockets,
        files: &[u32],
    ) -> Option<Self> {
        let (start, count) = (start as u32 as usize, count as u32 as usize);
        if count > SUBSCRIPTIONS {
            return None;
        }
        let mut poll = Self { sockets: Vec::new(), clocks: Vec::new(), others: Vec::new() };
        for i in 0..count {
            let at = start.checked_add(i * SUBSCRIPTION)?;
            let subscription: [u8; SUBSCRIPTION] = bytes(memory, at)?;
            let userdata = u64::from_le_bytes(bytes(&subscription, 0)?);
            let (kind, number) = (subscription[8], u32::from_le_bytes(bytes(&subscription, 16)?));
            let deadline = (kind == CLOCK).then(|| deadline(&subscription)).flatten();
            let socket = known.wait(number, kind).filter(|_| !files.contains(&number));
            match (deadline, socket) {
                (Some(deadline), _) => poll.clocks.push((userdata, deadline)),
                (_, Some(sockets)) => {
                    poll.sockets.push(Waited { userdata, kind, number, sockets });
                }
                _ => poll.others.extend(subscription),
            }
        }
        (!poll.sockets.is_empty()).then_some(poll)
    }

    /// Waits for the sockets that the listeners have now.
    pub fn renew(&mut self, known: &Sockets) {
        for waited in &mut self.sockets {
            waited.sockets = known.wait(waited.number, waited.kind).unwrap_or_default();
        }
    }

    /// Waits until something has happened; the events, or the number of an error. There are none if the listeners may be
    /// others now.
    pub async fn wait(&self, host: &mut Host1) -> wasmtime::Result<Result<Vec<Event>, i32>> {
        let place = host.sockets.place.clone();
        let mut changed = pin!(async {
            match &place {
                Some(place) => place.current.changed().await,
                None => std::future::pending().await,
            }
        });
        let mut theirs = pin!(self.others(host));
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
        for waited in &self.sockets {
            for socket in &waited.sockets {
                waits.push(Box::pin(socket.ready(wanted(waited.kind))));
            }
        }
        if let Some(first) = self.clocks.iter().map(|(_, deadline)| *deadline).min() {
            waits.push(Box::pin(tokio::time::sleep_until(first)));
        }
        std::future::poll_fn(|context| {
            let mut events = Vec::new();
            if !self.others.is_empty()
                && let Ready::Ready(happened) = theirs.as_mut().poll(context)
            {
                match happened? {
                    Ok(happened) => events = happened,
                    Err(errno) => return Ready::Ready(Ok(Err(errno))),
                }
            }
            let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if ready || !events.is_empty() {
                events.extend(self.happened());
            }
            let changed = changed.as_mut().poll(context).is_ready();
            if events.is_empty() && !changed {
                Ready::Pending
            } else {
                Ready::Ready(Ok(Ok(events)))
            }
        })
        .await
    }

    /// Sockets that are ready, and times that have come.
    fn happened(&self) -> Vec<Event> {
        let now = Instant::now();
        let clocks = self.clocks.iter().filter(|(_, deadline)| *deadline <= now);
        let clocks = clocks.map(|(userdata, _)| event(*userdata, CLOCK, false));
        let sockets =
            self.sockets.iter().filter_map(|Waited { userdata, kind, sockets, .. }| {
                let states = sockets.iter().map(|socket| socket.state(wanted(*kind)));
                let state = states.fold(PollFlags::empty(), |all, state| all | state);
                let hangup = state.intersects(PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR);
                (!state.is_empty()).then(|| event(*userdata, *kind, hangup))
            });
        clocks.chain(sockets).collect()
    }

    /// Waits for what wasmtime-wasi knows.
    async fn others(&self, host: &mut Host1) -> wasmtime::Result<Result<Vec<Event>, i32>> {
        let count = self.others.len() / SUBSCRIPTION;
        let mut scratch = self.others.clone();
        let events = scratch.len();
        scratch.resize(events + count * EVENT + 8, 0);
        let result = events + count * EVENT;
        let memory = &mut GuestMemory::Unshared(&mut scratch);
        let (events_at, result_at) = (events as i32, result as i32);
        let errno =
            wasi::poll_oneoff(&mut host.wasi, memory, 0, events_at, count as i32, result_at)
                .await?;
        if errno != SUCCESS {
            return Ok(Err(errno));
        }
        let happened = u32::from_le_bytes(bytes(&scratch, result).unwrap_or_default()) as usize;
        let event = |i| bytes(&scratch, events + i * EVENT);
        Ok(Ok((0..happened.min(count)).filter_map(event).collect()))
    }
}

impl Sockets {
    /// The sockets to wait for when a guest waits for this descriptor.
    fn wait(&self, number: u32, kind: u8) -> Option<Vec<Arc<Socket>>> {
        if kind != READ && kind != WRITE {
            return None;
        }
        if let Some(connection) = self.connections.get(&number) {
            return Some(vec![connection.socket.clone()]);
        }
        // a directory under this number is nothing to wait for; a file is always ready
        let at = number.checked_sub(super::LISTENERS)? as usize;
        let listener = self.listeners.get(at).filter(|l| kind == READ && !l.closed)?;
        Some(listener.sockets())
    }
}

fn wanted(kind: u8) -> PollFlags {
    match kind {
        WRITE => PollFlags::OUT,
        _ => PollFlags::IN | PollFlags::RDHUP,
    }
}

/// When a clock's time has come; `None` for a clock that we leave to wasmtime-wasi.
fn deadline(subscription: &[u8]) -> Option<Instant> {
    let clock = u32::from_le_bytes(bytes(subscription, 16)?);
    let timeout = Duration::from_nanos(u64::from_le_bytes(bytes(subscription, 24)?));
    let absolute = u16::from_le_bytes(bytes(subscription, 40)?) & ABSOLUTE != 0;
    let left = match (clock, absolute) {
        (REALTIME | MONOTONIC, false) => timeout,
        (REALTIME, true) => {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            timeout.saturating_sub(now)
        }
        _ => return None,
    };
    // a century is as good as for ever
    Some(Instant::now() + left.min(Duration::from_secs(3_000_000_000)))
}

fn event(userdata: u64, kind: u8, hangup: bool) -> Event {
    let mut event = [0; EVENT];
    event[..8].copy_from_slice(&userdata.to_le_bytes());
    event[10] = kind;
    if kind != CLOCK {
        event[16] = 1;
        event[24] = if hangup { HANGUP } else { 0 };
    }
    event
}
