//! "Permission denied" for what the packet filter would refuse.
//!
//! The filter's refusal reaches a program as "no route to host", since IPv4 has no message that means more. So programs of
//! the container's cgroup look at where TCP connects to (`BPF_CGROUP_INET4_CONNECT`, Linux 5.18 for the errno), in processes
//! that are executed in the container later as well. They enforce nothing: where they cannot be had (an ordinary user, no
//! unified cgroups) the filter refuses as well, with another errno.

use crate::net::names::Allowed;
use crate::sys::bpf::{self, Instruction, Purpose, Ring, instruction};
use ipnet::IpNet;
use rustix::io::Result;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// linux/bpf.h: `BPF_PROG_TYPE_CGROUP_SOCK_ADDR`, `BPF_CGROUP_INET4_CONNECT` and `BPF_CGROUP_INET6_CONNECT`
const CONNECT4: Purpose = Purpose { program: 18, attachment: 10, name: *b"knarr_connect4\0\0" };
const CONNECT6: Purpose = Purpose { program: 18, attachment: 11, name: *b"knarr_connect6\0\0" };

/// Addresses of names; with more than that the filter is left to refuse alone.
const LEARNT: usize = 1000;

type Rule = (IpNet, Option<u16>);

/// The programs of one container.
#[derive(Debug)]
pub struct Gate {
    ring: Ring,
    listed: Vec<Rule>,
    learnt: RefCell<BTreeSet<(IpAddr, Option<u16>)>>,
    attached: RefCell<Option<(OwnedFd, [OwnedFd; 2])>>,
}

impl Gate {
    /// `own`: the container's addresses, which it reaches without leaving. `None` where the kernel has nothing of the kind
    /// for us.
    pub fn new(allowed: &Allowed, own: impl Iterator<Item = IpAddr>) -> Option<Self> {
        let mut listed = allowed.subnets().to_vec();
        let loopback = IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8);
        listed.push((loopback, None));
        let here: [IpAddr; 3] = [
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::LOCALHOST.into(),
        ];
        listed.extend(here.into_iter().chain(own).map(|address| (IpNet::from(address), None)));
        let (learnt, attached) = Default::default();
        Some(Self { ring: Ring::new().ok()?, listed, learnt, attached })
    }

    /// Before anything runs in the cgroup.
    pub fn attach(&self, cgroup: BorrowedFd<'_>) {
        let attached = cgroup.try_clone_to_owned().map_err(|_| rustix::io::Errno::MFILE);
        let attached = attached.and_then(|cgroup| {
            let programs = self.put(cgroup.as_fd(), None)?;
            Ok((cgroup, programs))
        });
        *self.attached.borrow_mut() = attached.ok();
    }

    pub fn learn(&self, ports: &[Option<u16>], addresses: &[IpAddr]) {
        let before = self.learnt.borrow().len();
        for address in addresses {
            self.learnt.borrow_mut().extend(ports.iter().map(|port| (*address, *port)));
        }
        if self.learnt.borrow().len() == before || before > LEARNT {
            return;
        }
        if let Some((cgroup, programs)) = &mut *self.attached.borrow_mut()
            && let Ok(new) = self.put(cgroup.as_fd(), Some(programs))
        {
            *programs = new;
        }
    }

    fn put(&self, cgroup: BorrowedFd<'_>, instead: Option<&[OwnedFd; 2]>) -> Result<[OwnedFd; 2]> {
        let mut rules = self.listed.clone();
        rules.extend(self.learnt.borrow().iter().map(|(address, port)| ((*address).into(), *port)));
        if self.learnt.borrow().len() > LEARNT {
            rules = vec![(IpNet::default(), None), (IpNet::new_assert([0; 16].into(), 0), None)];
        }
        let load = |purpose| bpf::load(purpose, &compile(purpose == CONNECT6, &rules, &self.ring));
        let programs = [load(CONNECT4)?, load(CONNECT6)?];
        for (at, purpose) in [CONNECT4, CONNECT6].into_iter().enumerate() {
            bpf::attach(purpose, &programs[at], cgroup, instead.map(|old| &old[at]))?;
        }
        Ok(programs)
    }

    /// Hands over where connections were refused to.
    pub fn drain(&self, mut each: impl FnMut(SocketAddr)) {
        self.ring.drain(|record| {
            let word = |at: usize| record.get(at..at + 4)?.try_into().ok();
            let address = || -> Option<SocketAddr> {
                let octets: [u8; 16] = record.get(..16)?.try_into().ok()?;
                let ip = match u32::from_ne_bytes(word(20)?) {
                    4 => Ipv4Addr::from(word(12)?).into(),
                    _ => IpAddr::from(octets).to_canonical(),
                };
                let [high, low, ..] = word(16)?;
                Some(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
            };
            if let Some(address) = address() {
                each(address);
            }
        });
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

const LOAD_WORD: u8 = 0x61;
const STORE_WORD: u8 = 0x63;
const LOAD_MAP: u8 = 0x18;
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
const AND_WORD: u8 = 0x54;
const JUMP_IF_EQUAL: u8 = 0x15;
/// Of 32 bits.
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// Registers: 6 to 9 the words of the address as they lie in memory (IPv4: in 9), 4 the port, 5 scratch, 10 the stack; the
/// result in 0 allows if it is not zero.
fn compile(ipv6: bool, rules: &[Rule], ring: &Ring) -> Vec<Instruction> {
    const RINGBUF_OUTPUT: i32 = 130;
    const SET_RETVAL: i32 = 187;
    let set = |register, value| instruction(SET, register, 0, 0, value);
    let exit = instruction(EXIT, 0, 0, 0, 0);
    // struct bpf_sock_addr: user_family, user_ip4, user_ip6[4], user_port, family, type
    let mut program = vec![
        instruction(LOAD_WORD, 5, 1, 32, 0),
        instruction(JUMP_IF_EQUAL, 5, 0, 2, libc::SOCK_STREAM),
        set(0, 1),
        exit,
    ];
    for (word, register) in (6..10).enumerate() {
        program.push(match (ipv6, register) {
            (true, _) => instruction(LOAD_WORD, register, 1, 8 + 4 * word as i16, 0),
            (false, 9) => instruction(LOAD_WORD, 9, 1, 4, 0),
            (false, _) => set(register, 0),
        });
    }
    program.push(instruction(LOAD_WORD, 4, 1, 24, 0));
    for (subnet, port) in rules.iter().filter(|(subnet, _)| ipv6 || subnet.addr().is_ipv4()) {
        program.extend(allow(ipv6, subnet, *port));
    }
    for (register, place) in [(6, -24), (7, -20), (8, -16), (9, -12), (4, -8)] {
        program.push(instruction(STORE_WORD, 10, register, place, 0));
    }
    program.extend([
        set(5, if ipv6 { 6 } else { 4 }),
        instruction(STORE_WORD, 10, 5, -4, 0),
        instruction(LOAD_MAP, 1, 1, 0, ring.number()),
        instruction(0, 0, 0, 0, 0),
        instruction(COPY, 2, 10, 0, 0),
        instruction(ADD, 2, 0, 0, -24),
        set(3, 24),
        set(4, 0),
        instruction(CALL, 0, 0, 0, RINGBUF_OUTPUT),
        set(1, -libc::EACCES),
        instruction(CALL, 0, 0, 0, SET_RETVAL),
        set(0, 0),
        exit,
    ]);
    program
}

/// Allows what a rule has; anything else goes on behind it. IPv4 in IPv6 is `::ffff:a.b.c.d`.
fn allow(ipv6: bool, subnet: &IpNet, port: Option<u16>) -> Vec<Instruction> {
    let words = |address: IpAddr| -> [u32; 4] {
        let octets = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let word = |at: usize| [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
        [0, 4, 8, 12].map(|at| u32::from_ne_bytes(word(at)))
    };
    let mut masks = words(subnet.netmask());
    if subnet.addr().is_ipv4() {
        masks[..3].fill(if ipv6 { u32::MAX } else { 0 });
    }
    let mut tests = Vec::new();
    for ((register, mask), wanted) in (6..).zip(masks).zip(words(subnet.network())) {
        if mask == 0 {
            continue;
        }
        tests.extend([
            instruction(COPY, 5, register, 0, 0),
            instruction(AND_WORD, 5, 0, 0, mask as i32),
            instruction(JUMP_UNLESS_EQUAL, 5, 0, 0, wanted as i32),
        ]);
    }
    if let Some(port) = port {
        let wanted = u16::from_ne_bytes(port.to_be_bytes());
        tests.push(instruction(JUMP_UNLESS_EQUAL, 4, 0, 0, wanted.into()));
    }
    let length = tests.len() + 2;
    for (at, test) in tests.iter_mut().enumerate().filter(|(_, t)| t.code == JUMP_UNLESS_EQUAL) {
        test.offset = (length - at - 1) as i16;
    }
    tests.extend([instruction(SET, 0, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)]);
    tests
}
