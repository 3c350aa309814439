//! Which device files a container may make and open.
//!
//! Its capabilities include `MKNOD`, so this is what keeps the host's disks out of reach. Version 1 has a controller
//! for it, version 2 a BPF program that is attached to the cgroup (`BPF_PROG_TYPE_CGROUP_DEVICE`).

use super::Error;
use crate::sys::bpf::{self, Instruction, Purpose, instruction};
use knarr_core::fsx;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// `c` or `b`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Character,
    Block,
}

/// Something that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    /// `None`: any.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// Reading and writing; without it, only `mknod`.
    pub open: bool,
}

const fn open(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: Kind::Character, major: Some(major), minor, open: true }
}

const fn make(kind: Kind) -> Rule {
    Rule { kind, major: None, minor: None, open: false }
}

/// What every container may use: the nodes of its own `/dev` and terminals. Making nodes is allowed, since
/// archives contain them; opening them is not.
pub const DEFAULT: &[Rule] = &[
    open(1, Some(3)), // null
    open(1, Some(5)), // zero
    open(1, Some(7)), // full
    open(1, Some(8)), // random
    open(1, Some(9)), // urandom
    open(5, Some(0)), // tty
    open(5, Some(2)), // ptmx
    open(136, None),  // pts
    make(Kind::Character),
    make(Kind::Block),
];

/// Writes the rules to the controller of version 1.
pub fn apply_v1(cgroup: &Path) -> Result<(), Error> {
    super::write(&cgroup.join("devices.deny"), "a")?;
    for rule in DEFAULT {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = if rule.kind == Kind::Block { 'b' } else { 'c' };
        let access = if rule.open { "rwm" } else { "m" };
        let line = format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor));
        super::write(&cgroup.join("devices.allow"), &line)?;
    }
    Ok(())
}

/// Loads the program and attaches it to a cgroup of version 2. `false` where the kernel offers none of this.
pub fn apply_v2(cgroup: &Path) -> Result<bool, Error> {
    let failed =
        |source: Errno| Error::Devices { cgroup: cgroup.to_owned(), source: source.into() };
    let program = match bpf::load(DEVICES, &compile(DEFAULT)) {
        Ok(program) => program,
        Err(Errno::NOSYS | Errno::INVAL) => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(cgroup, flags, Mode::empty()).map_err(|source| {
        fsx::Error { operation: "open", path: cgroup.to_owned(), source: source.into() }
    })?;
    match bpf::attach(DEVICES, &program, rustix::fd::AsFd::as_fd(&directory), None) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL) => Ok(false), // no CONFIG_CGROUP_BPF
        Err(error) => Err(failed(error)),
    }
}

/// linux/bpf.h: `BPF_PROG_TYPE_CGROUP_DEVICE`, `BPF_CGROUP_DEVICE`
const DEVICES: Purpose = Purpose { program: 15, attachment: 6, name: *b"knarr_devices\0\0\0" };

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const JUMP_UNLESS_SAME: u8 = 0x5d;
const EXIT: u8 = 0x95;

/// linux/bpf.h, `BPF_DEVCG_*`
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MAKE: i32 = 1;

/// Registers: 2 type, 3 access, 4 major, 5 minor, 6 scratch; the result in 0 allows if it is not zero.
fn compile(rules: &[Rule]) -> Vec<Instruction> {
    // struct bpf_cgroup_dev_ctx { access_type: access << 16 | type, major, minor }
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(COPY, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let kind = if rule.kind == Kind::Block { BLOCK } else { CHARACTER };
        let mut tests = vec![instruction(JUMP_UNLESS_EQUAL, 2, 0, 0, kind)];
        if !rule.open {
            // what is asked beyond mknod is not allowed
            tests.push(instruction(COPY, 6, 3, 0, 0));
            tests.push(instruction(AND, 6, 0, 0, MAKE));
            tests.push(instruction(JUMP_UNLESS_SAME, 6, 3, 0, 0));
        }
        for (register, number) in [(4, rule.major), (5, rule.minor)] {
            if let Some(number) = number {
                tests.push(instruction(JUMP_UNLESS_EQUAL, register, 0, 0, number as i32));
            }
        }
        let length = tests.len() + 2;
        for (at, test) in tests.iter_mut().enumerate() {
            if matches!(test.code, JUMP_UNLESS_EQUAL | JUMP_UNLESS_SAME) {
                test.offset = (length - at - 1) as i16;
            }
        }
        program.extend(tests);
        program.push(instruction(SET, 0, 0, 0, 1));
        program.push(instruction(EXIT, 0, 0, 0, 0));
    }
    program.push(instruction(SET, 0, 0, 0, 0));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a compiled program as the kernel would.
    fn allows(kind: i32, access: i32, major: u32, minor: u32) -> bool {
        let program = compile(DEFAULT);
        let context = [(access << 16 | kind) as i64, major.into(), minor.into()];
        let mut registers = [0i64; 11];
        let mut at = 0usize;
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            match i.code {
                LOAD_WORD => registers[to] = context[i.offset as usize / 4],
                AND => registers[to] &= i64::from(i.immediate),
                SHIFT_RIGHT => registers[to] >>= i.immediate,
                COPY => registers[to] = registers[from],
                SET => registers[to] = i.immediate.into(),
                JUMP_UNLESS_EQUAL if registers[to] != i64::from(i.immediate) => {
                    at += i.offset as usize;
                }
                JUMP_UNLESS_SAME if registers[to] != registers[from] => at += i.offset as usize,
                JUMP_UNLESS_EQUAL | JUMP_UNLESS_SAME => {}
                EXIT => return registers[0] != 0,
                other => panic!("{other:x}"),
            }
        }
    }

    #[test]
    fn null_and_terminals_but_no_disks() {
        const READ: i32 = 2;
        const WRITE: i32 = 4;
        assert!(allows(CHARACTER, READ | WRITE, 1, 3));
        assert!(allows(CHARACTER, READ, 136, 7));
        assert!(!allows(CHARACTER, READ, 1, 1)); // /dev/mem
        assert!(!allows(BLOCK, READ, 254, 0));
        assert!(allows(BLOCK, MAKE, 254, 0));
        assert!(!allows(BLOCK, MAKE | READ, 254, 0));
        assert!(!allows(BLOCK, READ, 1, 3));
    }
}
