"""Projects: the verbs of `knarr compose` beside `docker-compose` (a program of that name on the PATH) and a Docker daemon."""

import os
import shutil
import subprocess

from timing import in_turn, milliseconds

SMALL = """\
  s{number}:
    image: {image}
    command: sleep 1000
    stop_grace_period: 0s
    environment: {{ NUMBER: "{number}", NAME: "${{NAME:-none}}" }}
    labels: [of.bench=yes]
"""


class Composer:
    """One program that runs compose files, and its file of `count` services."""

    def __init__(self, folder, command, image, count):
        folder.mkdir()
        self.file = folder / "compose.yaml"
        services = (SMALL.format(number=number, image=image) for number in range(count))
        self.file.write_text(f"name: bench{count}\nservices:\n" + "".join(services))
        self.command = [*map(str, command), "--progress", "quiet", "-f", str(self.file)]

    def time(self, *words):
        return milliseconds([*self.command, *words])

    def peak(self, *words):
        """Peak memory of one command in KiB."""
        child = subprocess.Popen([*self.command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status != 0:
            raise RuntimeError(f"{' '.join(words)}: status {status}")
        return used.ru_maxrss


def composers(context, count):
    """Knarr and its peer, or why there is none."""
    context.busybox()
    ours = Composer(context.directory / f"ours{count}", context.knarr("compose"), "busybox", count)
    program = shutil.which("docker-compose")
    if program is None:
        return ours, None, "docker-compose is not on the PATH"
    image = context.docker()
    if image is None:
        return ours, None, "no Docker daemon answers"
    return ours, Composer(context.directory / f"theirs{count}", [program], image, count), None


def row(what, ours, theirs, unit):
    return {"peer": f"docker-compose: {what}", "knarr": ours, "other": theirs, "unit": unit}


def services(context):
    """40 small services: config, up, up again, ps, down, and the memory of up."""
    ours, theirs, reason = composers(context, 40)
    if theirs is None:
        yield {"peer": "docker-compose", "skipped": reason}
        return
    both = (ours, theirs)
    few = max(3, context.runs // 10)
    try:
        yield row("config, 40 services", *in_turn(context.runs, *(lambda c=c: c.time("config") for c in both)), "ms")
        ups, downs = ([], []), ([], [])

        def round_of(index):
            ups[index].append(both[index].time("up", "-d"))
            downs[index].append(both[index].time("down"))
            return 0

        in_turn(few, lambda: round_of(0), lambda: round_of(1))
        for what, figures in (("up -d, 40 services", ups), ("down, 40 services", downs)):
            # the first round is for the caches
            yield row(what, *(sorted(side[1:])[(len(side) - 1) // 2] for side in figures), "ms")
        peaks = [c.peak("up", "-d") / 1024 for c in both]
        yield row("peak memory of up, 40 services", *peaks, "MiB")
        yield row("up -d again, 40 services", *in_turn(context.runs, *(lambda c=c: c.time("up", "-d") for c in both)), "ms")
    finally:
        for composer in both:
            composer.time("down")


def listing(context):
    """`ps` of a project of 20 services that run."""
    ours, theirs, reason = composers(context, 20)
    if theirs is None:
        yield {"peer": "docker-compose", "skipped": reason}
        return
    both = (ours, theirs)
    try:
        for composer in both:
            composer.time("up", "-d")
        yield row("ps, 20 services", *in_turn(context.runs, *(lambda c=c: c.time("ps") for c in both)), "ms")
    finally:
        for composer in both:
            composer.time("down")


ALL = {"compose-services": services, "compose-ps": listing}
