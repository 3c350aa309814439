//! Which device files a container may make and open.
//!
//! Its capabilities include `MKNOD`, so this is what keeps the host's disks out of reach. Version 1 has a controller
//! for it, version 2 a BPF program that is attached to the cgroup (`BPF_PROG_TYPE_CGROUP_DEVICE`).

use super::Error;
use crate::sys::bpf::{self, Instruction, Purpose, instruction};
use knarr_core::fsx;
use knarr_core::spec::isolation::{DeviceAccess, DeviceKind, DeviceRule};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

const MAKE_ONLY: DeviceAccess = DeviceAccess { read: false, write: false, make: true };

const fn open(major: u32, minor: Option<u32>) -> DeviceRule {
    DeviceRule { kind: DeviceKind::Character, major: Some(major), minor, access: DeviceAccess::ALL }
}

const fn make(kind: DeviceKind) -> DeviceRule {
    DeviceRule { kind, major: None, minor: None, access: MAKE_ONLY }
}

/// What every container may use: the nodes of its own `/dev` and terminals. Making nodes is allowed, since
/// archives contain them; opening them is not.
const DEFAULT: &[DeviceRule] = &[
    open(1, Some(3)), // null
    open(1, Some(5)), // zero
    open(1, Some(7)), // full
    open(1, Some(8)), // random
    open(1, Some(9)), // urandom
    open(5, Some(0)), // tty
    open(5, Some(2)), // ptmx
    open(136, None),  // pts
    make(DeviceKind::Character),
    make(DeviceKind::Block),
];

/// The defaults and what is allowed besides. One about all kinds is two: version 1 takes `a` for everything there is.
fn all(more: &[DeviceRule]) -> Vec<DeviceRule> {
    let each = |rule: &DeviceRule| match rule.kind {
        DeviceKind::All => vec![DeviceKind::Character, DeviceKind::Block],
        kind => vec![kind],
    };
    let rules = DEFAULT.iter().chain(more);
    rules.flat_map(|rule| each(rule).into_iter().map(|kind| DeviceRule { kind, ..*rule })).collect()
}

/// Writes the rules to the controller of version 1.
pub fn apply_v1(cgroup: &Path, more: &[DeviceRule]) -> Result<(), Error> {
    super::write(&cgroup.join("devices.deny"), "a")?;
    all(more)
        .iter()
        .try_for_each(|rule| super::write(&cgroup.join("devices.allow"), &rule.to_string()))?;
    Ok(())
}

/// Loads the program and attaches it to a cgroup of version 2. `false` where the kernel offers none of this.
pub fn apply_v2(cgroup: &Path, more: &[DeviceRule]) -> Result<bool, Error> {
    let failed =
        |source: Errno| Error::Devices { cgroup: cgroup.to_owned(), source: source.into() };
    let program = match bpf::load(DEVICES, &compile(&all(more))) {
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
const READ: i32 = 2;
const WRITE: i32 = 4;

/// Registers: 2 type, 3 access, 4 major, 5 minor, 6 scratch; the result in 0 allows if it is not zero.
fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
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
        let kind = if rule.kind == DeviceKind::Block { BLOCK } else { CHARACTER };
        let mut tests = vec![instruction(JUMP_UNLESS_EQUAL, 2, 0, 0, kind)];
        if rule.access != DeviceAccess::ALL {
            // what is asked beyond these is not allowed
            let DeviceAccess { read, write, make } = rule.access;
            let bits = [(read, READ), (write, WRITE), (make, MAKE)];
            let bits = bits.into_iter().filter(|(has, _)| *has).map(|(_, bit)| bit).sum();
            tests.push(instruction(COPY, 6, 3, 0, 0));
            tests.push(instruction(AND, 6, 0, 0, bits));
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
        allowed(&[], kind, access, (major, minor))
    }

    fn allowed(more: &[DeviceRule], kind: i32, access: i32, number: (u32, u32)) -> bool {
        let program = compile(&all(more));
        let (major, minor) = number;
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
        assert!(allows(CHARACTER, READ | WRITE, 1, 3));
        assert!(allows(CHARACTER, READ, 136, 7));
        assert!(!allows(CHARACTER, READ, 1, 1)); // /dev/mem
        assert!(!allows(BLOCK, READ, 254, 0));
        assert!(allows(BLOCK, MAKE, 254, 0));
        assert!(!allows(BLOCK, MAKE | READ, 254, 0));
        assert!(!allows(BLOCK, READ, 1, 3));
    }

    #[test]
    fn what_is_allowed_besides() {
        let rules = ["c 10:229 r", "b 7:* rw", "a 9:1 rwm"].map(|r| DeviceRule::parse(r).unwrap());
        let allows = |kind, access, number| allowed(&rules, kind, access, number);
        assert!(allows(CHARACTER, READ, (10, 229)) && !allows(CHARACTER, WRITE, (10, 229)));
        assert!(!allows(CHARACTER, READ | WRITE, (10, 229)));
        assert!(!allows(BLOCK, READ, (10, 229)) && !allows(CHARACTER, READ, (10, 228)));
        assert!(allows(BLOCK, READ | WRITE, (7, 3)) && !allows(BLOCK, READ, (8, 3)));
        assert!(allows(BLOCK, WRITE, (9, 1)) && allows(CHARACTER, WRITE, (9, 1)));
        assert!(allows(CHARACTER, READ, (1, 3)) && !allows(CHARACTER, READ, (1, 1)));
    }
}
