//! Programs that the kernel runs for a cgroup (eBPF), and the buffer in which they tell something.

use rustix::io::{Errno, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// One instruction of eBPF.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

pub const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

/// What a program is for, as linux/bpf.h numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    pub program: u32,
    pub attachment: u32,
    pub name: [u8; 16],
}

pub fn load(purpose: Purpose, program: &[Instruction]) -> Result<OwnedFd> {
    const BPF_PROG_LOAD: i32 = 5;
    /// The start of `union bpf_attr` for `BPF_PROG_LOAD`.
    #[repr(C)]
    struct Attributes {
        kind: u32,
        length: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buffer: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attachment: u32,
    }
    let attributes = Attributes {
        kind: purpose.program,
        length: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name: purpose.name,
        interface: 0,
        attachment: purpose.attachment,
    };
    // SAFETY: the layout is the kernel's, both pointers outlive the call, and the result is a new descriptor
    unsafe { bpf(BPF_PROG_LOAD, attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Attaches a program to a cgroup, beside those of parents and children, or in the place of another one of ours.
pub fn attach(
    purpose: Purpose,
    program: &OwnedFd,
    cgroup: BorrowedFd<'_>,
    instead: Option<&OwnedFd>,
) -> Result<()> {
    const BPF_PROG_ATTACH: i32 = 8;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    const BPF_F_REPLACE: u32 = 4;
    #[repr(C)]
    struct Attributes {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
        replaced: u32,
    }
    let attributes = Attributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: purpose.attachment,
        flags: BPF_F_ALLOW_MULTI | if instead.is_some() { BPF_F_REPLACE } else { 0 },
        replaced: instead.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: the layout is the kernel's; no pointers are passed
    unsafe { bpf(BPF_PROG_ATTACH, attributes).map(drop) }
}

/// bpf(2).
///
/// # Safety
///
/// `attributes` has the layout that `command` expects, and what it points to outlives the call.
unsafe fn bpf<T>(command: i32, mut attributes: T) -> Result<i32> {
    // SAFETY: as the caller promises
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attributes, size_of::<T>()) };
    match i32::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => {
            let code = std::io::Error::last_os_error().raw_os_error();
            Err(Errno::from_raw_os_error(code.unwrap_or(libc::EIO)))
        }
    }
}

/// What programs write with `bpf_ringbuf_output` (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8). What does not fit is lost.
#[derive(Debug)]
pub struct Ring {
    map: OwnedFd,
    page: usize,
    /// The reader's position.
    consumer: *mut c_void,
    /// The writers' position, and a page behind it the data, twice in a row.
    producer: *mut c_void,
}

impl Ring {
    /// Of one page.
    pub fn new() -> Result<Self> {
        const BPF_MAP_CREATE: i32 = 0;
        const BPF_MAP_TYPE_RINGBUF: u32 = 27;
        let page = rustix::param::page_size();
        let attributes = [BPF_MAP_TYPE_RINGBUF, 0, 0, page as u32, 0];
        // SAFETY: map_type, key_size, value_size, max_entries, map_flags; the result is a new descriptor
        let map = unsafe { OwnedFd::from_raw_fd(bpf(BPF_MAP_CREATE, attributes)?) };
        let write = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: new mappings, of the map's own size; they live as long as this
        let consumer = unsafe { mmap(ptr::null_mut(), page, write, MapFlags::SHARED, &map, 0)? };
        // SAFETY: see above
        let producer = unsafe {
            let length = 3 * page;
            mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &map, page as u64)
        };
        match producer {
            Ok(producer) => Ok(Self { map, page, consumer, producer }),
            Err(e) => {
                // SAFETY: nothing refers to it
                let _ = unsafe { munmap(consumer, page) };
                Err(e)
            }
        }
    }

    /// For a program's instructions.
    pub fn number(&self) -> i32 {
        self.map.as_raw_fd()
    }

    /// Reads what is there.
    pub fn drain(&self, mut each: impl FnMut(&[u8])) {
        const BUSY: u32 = 1 << 31;
        const DISCARDED: u32 = 1 << 30;
        const HEADER: usize = 8;
        // SAFETY: both positions are aligned words of mappings that live as long as this
        let (consumer, producer) = unsafe {
            (&*self.consumer.cast::<AtomicUsize>(), &*self.producer.cast::<AtomicUsize>())
        };
        loop {
            let at = consumer.load(Ordering::Relaxed);
            if at >= producer.load(Ordering::Acquire) {
                return;
            }
            // SAFETY: records begin at multiples of 8 in the first page of data
            let record = unsafe { self.producer.byte_add(self.page + at % self.page) };
            // SAFETY: see above
            let header = unsafe { &*record.cast::<AtomicU32>() }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            if header & DISCARDED == 0 {
                // SAFETY: the kernel has written the record and leaves it alone until the position moves on; it ends in
                // the second page of data at the latest
                let data = unsafe {
                    std::slice::from_raw_parts(record.byte_add(HEADER).cast::<u8>(), length)
                };
                each(data);
            }
            consumer.store(at + (HEADER + length).next_multiple_of(8), Ordering::Release);
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mappings any more
        unsafe {
            let _ = munmap(self.consumer, self.page);
            let _ = munmap(self.producer, 3 * self.page);
        }
    }
}
