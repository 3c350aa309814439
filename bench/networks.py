"""The cases about networks: what an address costs, and how fast bytes and requests go."""

import json
import re
import subprocess

from cases import free_port, wait_for_http, wait_for_port, wrk
from timing import in_turn, milliseconds

ROUNDS = 3


def median(figures):
    figures = sorted(figures)
    return figures[len(figures) // 2]


def base(context, tag):
    """Loads one of the base images into Knarr, once; `None` if there are no bases."""
    if not context.bases:
        return None
    name = f"bench-{tag}"
    if name not in context.imported:
        archive = context.directory / f"{tag}.tar"
        context.run("skopeo", "copy", "--insecure-policy", f"oci:{context.bases}:{tag}", f"oci-archive:{archive}:{name}:latest")
        context.run(*context.knarr("load", "-i", archive))
        context.imported.add(name)
    return name


def docker_base(context, tag):
    """The same in Docker."""
    name = f"knarr-bench-{tag}:latest"
    if context.docker() is None:
        return None
    if name not in context.imported:
        context.run("skopeo", "copy", "--insecure-policy", f"oci:{context.bases}:{tag}", f"docker-daemon:{name}")
        context.imported.add(name)
    return name


def start(context):
    """One container with a network of its own against one without, and against docker's."""
    context.busybox()
    hello = context.module("hello.wasm")
    for kind, command in (("native", ["busybox", "true"]), ("wasm", [hello])):
        with_one = context.knarr("run", "--rm", *command)
        without = context.knarr("run", "--rm", "--network", "host", *command)
        # the bridge and the rules are made by the first start
        milliseconds(with_one)
        knarr, other = in_turn(context.runs, lambda: milliseconds(with_one), lambda: milliseconds(without))
        yield {"peer": f"{kind}, the host's network", "knarr": knarr, "other": other, "unit": "ms"}
    image = context.docker()
    if image is None:
        yield {"peer": "docker run on its bridge", "skipped": "no Docker daemon answers"}
        return
    ours = context.knarr("run", "--rm", "busybox", "true")
    theirs = ["docker", "run", "--rm", image, "true"]
    runs = max(3, context.runs // 3)
    knarr, other = in_turn(runs, lambda: milliseconds(ours), lambda: milliseconds(theirs))
    yield {"peer": "docker run on its bridge", "knarr": knarr, "other": other, "unit": "ms"}


def gigabits(command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e9


def throughput(context):
    """iperf3 between two native containers, on Knarr's bridge and on docker's."""
    tools = base(context, "tools-latest")
    if tools is None:
        yield {"peer": "docker's bridge", "skipped": "--bases has no tools-latest"}
        return
    context.run(*context.knarr("network", "create", "bench"))
    context.run(*context.knarr("run", "-d", "--name", "bench-iperf", "--network", "bench", tools, "iperf3", "-s"))
    ours = context.knarr("run", "--rm", "--network", "bench", tools, "iperf3", "-J", "-t", "4", "-c", "bench-iperf")
    theirs_id = None
    try:
        image = docker_base(context, "tools-latest")
        if image is None:
            knarr = median(gigabits(ours) for _ in range(ROUNDS))
            yield {"peer": "the aim (no Docker daemon answers)", "knarr": knarr, "other": 6.9, "unit": "Gbit/s"}
            return
        theirs_id = context.run("docker", "run", "-d", image, "iperf3", "-s").strip()
        address = context.run("docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", theirs_id).strip()
        theirs = ["docker", "run", "--rm", image, "iperf3", "-J", "-t", "4", "-c", address]
        figures = [gigabits(command) for _ in range(ROUNDS) for command in (ours, theirs)]
        yield {"peer": "docker's bridge", "knarr": median(figures[0::2]), "other": median(figures[1::2]), "unit": "Gbit/s"}
    finally:
        if theirs_id:
            context.run("docker", "rm", "-f", theirs_id)
        context.run(*context.knarr("rm", "-f", "bench-iperf"))
        context.run(*context.knarr("network", "rm", "bench"))


def publish(context):
    """Requests a second of nginx through a published port: against docker's, and against the container's own address."""
    nginx = base(context, "nginx-alpine")
    if nginx is None:
        yield {"peer": "docker's published port", "skipped": "--bases has no nginx-alpine"}
        return
    ours = free_port()
    context.run(*context.knarr("run", "-d", "--name", "bench-nginx", "-p", f"{ours}:80", nginx))
    theirs_id = None
    try:
        wait_for_http(ours)
        template = "{{.NetworkSettings.IPAddress}}"
        address = context.run(*context.knarr("inspect", "-f", template, "bench-nginx")).strip()
        figures = [rate for _ in range(ROUNDS) for rate in (wrk(ours, 16)[0], direct(address))]
        yield {"peer": "its own address", "knarr": median(figures[0::2]), "other": median(figures[1::2]), "unit": "requests/s"}
        image = docker_base(context, "nginx-alpine")
        if image is None:
            yield {"peer": "docker's published port", "skipped": "no Docker daemon answers"}
            return
        theirs = free_port()
        theirs_id = context.run("docker", "run", "-d", "-p", f"{theirs}:80", image).strip()
        wait_for_http(theirs)
        figures = [wrk(port, 16)[0] for _ in range(ROUNDS) for port in (ours, theirs)]
        yield {"peer": "docker's published port", "knarr": median(figures[0::2]), "other": median(figures[1::2]), "unit": "requests/s"}
    finally:
        if theirs_id:
            context.run("docker", "rm", "-f", theirs_id)
        context.run(*context.knarr("rm", "-f", "bench-nginx"))


def direct(address):
    output = subprocess.run(["wrk", "-t1", "-c16", "-d4s", f"http://{address}/"], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def wasm(context):
    """Bytes between two Wasm containers, against the same two on the host's loopback."""
    image = context.module("flood.p2.wasm")
    context.run(*context.knarr("network", "create", "bench"))
    port = free_port()
    context.run(*context.knarr("run", "-d", "--name", "bench-sink", "--network", "bench", image, "serve", "0.0.0.0:7000"))
    context.run(*context.knarr(
        "run", "-d", "--name", "bench-plain", "--network", "host", "-p", f"127.0.0.1:{port}:{port}", image, "serve", f"127.0.0.1:{port}"))
    try:
        wait_for_port(port)
        template = "{{.NetworkSettings.IPAddress}}"
        address = context.run(*context.knarr("inspect", "-f", template, "bench-sink")).strip()
        ours = context.knarr("run", "--rm", "--network", "bench", image, f"{address}:7000", "2000")
        plain = context.knarr("run", "--rm", "--network", "host", image, f"127.0.0.1:{port}", "2000")
        speed = lambda command: float(context.run(*command))  # noqa: E731
        figures = [speed(command) for _ in range(ROUNDS) for command in (ours, plain)]
        yield {"peer": "plain loopback", "knarr": median(figures[0::2]), "other": median(figures[1::2]), "unit": "MB/s"}
    finally:
        context.run(*context.knarr("rm", "-f", "bench-sink", "bench-plain"))
        context.run(*context.knarr("network", "rm", "bench"))


ALL = {
    "network-start": start,
    "network-throughput": throughput,
    "network-publish": publish,
    "network-wasm": wasm,
}
