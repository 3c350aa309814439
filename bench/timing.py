"""Timing whole commands in turn, so that a drifting machine hurts both sides alike."""

import os
import statistics
import subprocess
import time


def milliseconds(command, **options):
    """One run of a command, wall time in milliseconds; a failing command ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    elapsed = (time.perf_counter() - started) * 1000
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        raise RuntimeError(f"{shown}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return elapsed


def in_turn(runs, *functions):
    """Medians of each function's figure, called A B C A B C … after one round that is not counted."""
    samples = [[] for _ in functions]
    for round_number in range(runs + 1):
        for index, function in enumerate(functions):
            figure = function()
            if round_number:
                samples[index].append(figure)
    return [statistics.median(s) for s in samples]


def pss_kib(pids):
    """Proportional set size of processes, KiB in total."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += next(int(l.split()[1]) for l in rollup if l.startswith("Pss:"))
    return total


def processes_with(*words):
    """Ids of processes whose command line holds all the words."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in command for word in words) and int(entry) != os.getpid():
            found.append(int(entry))
    return found
