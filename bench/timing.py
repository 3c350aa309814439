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


def processes_of(program):
    """Ids of the processes that run a program, by its file."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            same = os.path.samefile(f"/proc/{entry}/exe", program)
        except OSError:
            continue
        if same:
            found.append(int(entry))
    return found
