#!/usr/bin/env python3
"""Prints the functions that commands of the program run through, in the order of their first use.

    scripts/startup-order.py "PROGRAM ARGUMENT..." ["PROGRAM ARGUMENT..." ...] > scripts/startup-order.txt

`scripts/build.sh` has the linker put them side by side: a start then touches a few dozen pages of the program instead of
hundreds, each of which costs a page fault, in the monitor and again in the guest's process. A list that is older than the
program does no harm: names that are gone are skipped, new functions lie elsewhere. For x86-64.
"""

import bisect
import ctypes
import os
import shlex
import signal
import subprocess
import sys

TRACEME, PEEKUSER, DETACH, SINGLEBLOCK, SETOPTIONS = 0, 3, 17, 33, 0x4200
EXEC = 4  # the event
FOLLOW = 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # fork, vfork, clone, exec; end with the tracer
ALL = 0x40000000  # wait for threads too
RIP = 16 * 8

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def functions(program):
    """First address, last address and name of each, sorted."""
    listing = subprocess.run(["nm", "-S", "--defined-only", program], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    rows = [row for row in rows if len(row) == 4 and row[2] in "tTwW"]
    return sorted((int(at, 16), int(at, 16) + int(size, 16), name) for at, size, _, name in rows)


def trace(command, rows, seen):
    """Steps through a command and all that it forks, from branch to branch."""
    starts = [row[0] for row in rows]
    child = os.fork()
    if child == 0:
        libc.ptrace(TRACEME, 0, None, None)
        os.dup2(2, 1)
        os.execv(command[0], command)
    os.waitpid(child, 0)
    libc.ptrace(SETOPTIONS, child, None, FOLLOW)
    libc.ptrace(SINGLEBLOCK, child, None, None)
    live, low, high = {child}, 0, 0
    while live:
        pid, status = os.waitpid(-1, ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            live.discard(pid)
            continue
        if status >> 16 == EXEC:
            # another program
            live.discard(pid)
            libc.ptrace(DETACH, pid, None, None)
            continue
        live.add(pid)
        at = libc.ptrace(PEEKUSER, pid, RIP, None)
        if not low <= at < high:
            row = bisect.bisect_right(starts, at) - 1
            if row >= 0 and at < rows[row][1]:
                low, high, name = rows[row]
                seen.setdefault(name)
        stop = os.WSTOPSIG(status)
        passed = 0 if stop in (signal.SIGTRAP, signal.SIGSTOP) or status >> 16 else stop
        libc.ptrace(SINGLEBLOCK, pid, None, passed)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    seen = {}
    for argument in sys.argv[1:]:
        command = shlex.split(argument)
        trace(command, functions(command[0]), seen)
    print("\n".join(seen))


main()
