"""The cases: what is timed, on both sides. Each yields rows of {peer, knarr, other, unit} or {peer, skipped}."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

from timing import in_turn, milliseconds, processes_of, pss_kib

GUESTS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "guests" / "built"


class Context:
    """Where the benchmark keeps its things; every daemon it starts is ended by `close`."""

    def __init__(self, knarr, directory, runs, bases):
        self.directory = directory
        self.runs = runs
        self.bases = bases
        self.root = directory / "knarr"
        self.program = knarr
        self.children = []
        self.imported = set()

    def knarr(self, *arguments):
        return [self.program, "--root", str(self.root), *map(str, arguments)]

    def run(self, *command, **options):
        return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, **options).stdout

    def spawn(self, *command):
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def layout(self):
        """An OCI layout with busybox: the one given, or one made of the host's static busybox."""
        if self.bases:
            return self.bases, "busybox-latest"
        layout = self.directory / "layout"
        if not layout.exists():
            bundle = self.directory / "bundle"
            self.run("umoci", "init", "--layout", layout)
            self.run("umoci", "new", "--image", f"{layout}:busybox-latest")
            self.run("umoci", "unpack", "--image", f"{layout}:busybox-latest", bundle)
            (bundle / "rootfs" / "bin").mkdir()
            for name in ("dev", "proc", "sys", "etc", "tmp"):
                (bundle / "rootfs" / name).mkdir()
            shutil.copy("/bin/busybox", bundle / "rootfs" / "bin")
            for applet in ("sh", "true", "sleep", "cat", "echo"):
                os.symlink("busybox", bundle / "rootfs" / "bin" / applet)
            self.run("umoci", "repack", "--image", f"{layout}:busybox-latest", bundle)
            self.run("umoci", "config", "--image", f"{layout}:busybox-latest", "--config.cmd", "sh", "--config.env", "PATH=/bin")
            shutil.rmtree(bundle)
        return str(layout), "busybox-latest"

    def busybox(self):
        """Loads busybox into Knarr's store, once."""
        if "busybox" not in self.imported:
            layout, tag = self.layout()
            archive = self.directory / "busybox.tar"
            self.run("skopeo", "copy", "--insecure-policy", f"oci:{layout}:{tag}", f"oci-archive:{archive}:busybox:latest")
            self.run(*self.knarr("load", "-i", archive))
            self.imported.add("busybox")

    def module(self, name, *options):
        """Makes an image of one of the test guests, once; returns its reference."""
        reference = f"bench-{name.replace('.', '-')}"
        if reference not in self.imported:
            rootfs = self.directory / f"{reference}.rootfs"
            rootfs.mkdir()
            shutil.copy(GUESTS / name, rootfs / "app.wasm")
            archive = self.directory / f"{reference}.tar"
            self.run("tar", "-C", rootfs, "-cf", archive, ".")
            changes = [f"--change={c}" for c in ('ENTRYPOINT ["/app.wasm"]', *options)]
            self.run(*self.knarr("import", "--platform", "wasi/wasm", *changes, archive, reference))
            self.imported.add(reference)
        return reference

    def bundle(self):
        """An OCI runtime bundle that runs busybox's true, for crun and runc."""
        bundle = self.directory / "true-bundle"
        if not bundle.exists():
            layout, tag = self.layout()
            self.run("umoci", "unpack", "--image", f"{layout}:{tag}", bundle)
            config = json.loads((bundle / "config.json").read_text())
            config["process"]["args"] = ["true"]
            config["process"]["terminal"] = False
            spaces = config["linux"]["namespaces"]
            config["linux"]["namespaces"] = [n for n in spaces if n["type"] not in ("network", "user")]
            (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def docker(self):
        """Whether a Docker daemon answers, with busybox loaded."""
        if shutil.which("docker") is None:
            return None
        if subprocess.run(["docker", "version"], capture_output=True).returncode != 0:
            return None
        if "docker" not in self.imported:
            layout, tag = self.layout()
            name = "knarr-bench-busybox:latest"
            archive = self.directory / "docker-busybox.tar"
            self.run("skopeo", "copy", "--insecure-policy", f"oci:{layout}:{tag}", f"docker-archive:{archive}:{name}")
            self.run("docker", "load", "-i", archive)
            self.imported.add("docker")
        return "knarr-bench-busybox:latest"

    def close(self):
        for child in self.children:
            child.terminate()
            child.wait()
        left = subprocess.run(self.knarr("ps", "-aq"), capture_output=True, text=True).stdout.split()
        if left:
            subprocess.run(self.knarr("rm", "-f", *left), capture_output=True)
        # with their bridges
        subprocess.run(self.knarr("network", "rm", "-f", "bridge", "bench"), capture_output=True)


def v1_view(command):
    """crun before 1.9 refuses a hybrid cgroup hierarchy: show it a mount namespace without the cgroup2 part."""
    if os.path.isdir("/sys/fs/cgroup/unified"):
        return ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified && exec "$@"', "sh", *command]
    return command


def wasm_hello(context):
    image = context.module("hello.wasm")
    # wasmtime knows no other network
    ours = context.knarr("run", "--rm", "--network", "host", image)
    wasmtime = shutil.which("wasmtime")
    if wasmtime is None:
        yield {"peer": "wasmtime run", "skipped": "wasmtime is not on the PATH"}
        return
    compiled = context.directory / "hello.cwasm"
    context.run(wasmtime, "compile", GUESTS / "hello.wasm", "-o", compiled)
    theirs = [wasmtime, "run", "--allow-precompiled", str(compiled)]
    knarr, other = in_turn(context.runs, lambda: milliseconds(ours), lambda: milliseconds(theirs))
    yield {"peer": "wasmtime run --allow-precompiled", "knarr": knarr, "other": other, "unit": "ms"}


def native_true(context):
    context.busybox()
    ours = context.knarr("run", "--rm", "--network", "host", "busybox", "true")
    for runtime in ("crun", "runc"):
        if shutil.which(runtime) is None:
            yield {"peer": f"{runtime} run", "skipped": f"{runtime} is not installed"}
            continue
        bundle = context.bundle()
        number = iter(range(10**9))
        # the mount namespace is entered once, outside of what is timed
        state = context.directory / runtime

        def theirs():
            command = [runtime, "--root", str(state), "run", "--bundle", str(bundle), f"bench-{next(number)}"]
            return timed_inside(context, command) if runtime == "crun" else milliseconds(command)

        knarr, other = in_turn(context.runs, lambda: milliseconds(ours), theirs)
        yield {"peer": f"{runtime} run", "knarr": knarr, "other": other, "unit": "ms"}
    image = context.docker()
    if image is None:
        yield {"peer": "docker run", "skipped": "no Docker daemon answers"}
    else:
        theirs = ["docker", "run", "--rm", "--network", "host", image, "true"]
        runs = max(3, context.runs // 3)
        knarr, other = in_turn(runs, lambda: milliseconds(ours), lambda: milliseconds(theirs))
        yield {"peer": "docker run", "knarr": knarr, "other": other, "unit": "ms"}


def timed_inside(context, command):
    """Times a command inside the cgroup v1 view, without the time that entering the view takes."""
    script = "import subprocess,sys,time; s=time.perf_counter(); r=subprocess.run(sys.argv[1:]).returncode; print('ms', (time.perf_counter()-s)*1000); sys.exit(r)"
    output = context.run(*v1_view(["python3", "-c", script, *command]))
    return float(re.search(r"ms ([\d.]+)", output).group(1))


def exec_true(context):
    context.busybox()
    name = "bench-exec"
    context.run(*context.knarr("run", "-d", "--name", name, "--network", "host", "busybox", "sleep", "1000"))
    try:
        ours = context.knarr("exec", name, "true")
        image = context.docker()
        if image is None:
            knarr, = in_turn(context.runs, lambda: milliseconds(ours))
            yield {"peer": "the aim of 8 ms (no Docker daemon answers)", "knarr": knarr, "other": 8.0, "unit": "ms"}
            return
        theirs_id = context.run("docker", "run", "-d", "--network", "host", image, "sleep", "1000").strip()
        try:
            theirs = ["docker", "exec", theirs_id, "true"]
            knarr, other = in_turn(context.runs, lambda: milliseconds(ours), lambda: milliseconds(theirs))
            yield {"peer": "docker exec", "knarr": knarr, "other": other, "unit": "ms"}
        finally:
            context.run("docker", "rm", "-f", theirs_id)
    finally:
        context.run(*context.knarr("rm", "-f", name))


def detached(context, count=100):
    """`count` containers started at once, then all removed by force."""
    context.busybox()

    def ours():
        started = time.perf_counter()
        command = context.knarr("run", "-d", "--network", "host", "busybox", "sleep", "1000")
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        ids = [child.communicate()[0].strip() for child in children]
        if any(child.returncode for child in children):
            raise RuntimeError("a detached run failed")
        context.run(*context.knarr("rm", "-f", *ids))
        return time.perf_counter() - started

    if shutil.which("crun") is None:
        yield {"peer": "crun create + start", "skipped": "crun is not installed"}
        return
    bundle = context.bundle()
    config = json.loads((bundle / "config.json").read_text())
    sleeping = context.directory / "sleep-bundle"
    sleeping.mkdir(exist_ok=True)
    config["process"]["args"] = ["sleep", "1000"]
    config["root"]["path"] = str(bundle / "rootfs")
    (sleeping / "config.json").write_text(json.dumps(config))
    script = context.directory / "crun-many.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "root, bundle, count = sys.argv[1], sys.argv[2], int(sys.argv[3])\n"
        "crun = ['crun', '--root', root]\n"
        "ids = [f'many-{i}' for i in range(count)]\n"
        "quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "s = time.perf_counter()\n"
        "def each(make):\n"
        "    for c in [subprocess.Popen(make(i), **quiet) for i in ids]:\n"
        "        assert c.wait() == 0\n"
        "each(lambda i: ['sh', '-c', f'crun --root {root} create --bundle {bundle} {i} && crun --root {root} start {i}'])\n"
        "each(lambda i: [*crun, 'delete', '-f', i])\n"
        "print('s', time.perf_counter() - s)\n"
    )

    def theirs():
        output = context.run(*v1_view(["python3", script, context.directory / "crun-many", sleeping, count]))
        return float(re.search(r"s ([\d.]+)", output).group(1))

    knarr, other = in_turn(3, ours, theirs)
    yield {"peer": f"crun create + start, {count} at once", "knarr": knarr, "other": other, "unit": "s"}


def pull(context):
    """Six incompressible layers, 300 MB, from a registry on loopback, unpacked."""
    if shutil.which("docker-registry") is None or shutil.which("skopeo") is None:
        yield {"peer": "skopeo copy + umoci unpack", "skipped": "docker-registry or skopeo is not installed"}
        return
    port = free_port()
    configuration = context.directory / "registry.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {context.directory}/registry}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    context.spawn("docker-registry", "serve", configuration)
    wait_for_port(port)
    layout = context.directory / "big"
    context.run("umoci", "init", "--layout", layout)
    context.run("umoci", "new", "--image", f"{layout}:big")
    bundle = context.directory / "big-bundle"
    context.run("umoci", "unpack", "--image", f"{layout}:big", bundle)
    for layer in range(6):
        folder = bundle / "rootfs" / f"layer{layer}"
        folder.mkdir()
        for number in range(50):
            (folder / f"file{number}").write_bytes(os.urandom(1 << 20))
        context.run("umoci", "repack", "--refresh-bundle", "--image", f"{layout}:big", bundle)
    image = f"127.0.0.1:{port}/big:latest"
    context.run("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", f"oci:{layout}:big", f"docker://{image}")
    shutil.rmtree(bundle)
    number = iter(range(10**9))
    source = f"docker://{image}"

    def ours():
        root = context.directory / f"pull-knarr-{next(number)}"
        elapsed = milliseconds([context.program, "--root", str(root), "pull", image])
        shutil.rmtree(root)
        return elapsed / 1000

    def theirs():
        target = context.directory / f"pull-skopeo-{next(number)}"
        copy = ["skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", source, f"oci:{target}:big"]
        elapsed = milliseconds(copy) + milliseconds(["umoci", "unpack", "--image", f"{target}:big", f"{target}-bundle"])
        shutil.rmtree(target)
        shutil.rmtree(f"{target}-bundle")
        return elapsed / 1000

    knarr, other = in_turn(3, ours, theirs)
    yield {"peer": "skopeo copy + umoci unpack", "knarr": knarr, "other": other, "unit": "s"}
    if context.docker() is None:
        yield {"peer": "docker pull", "skipped": "no Docker daemon answers"}
        return

    def docker():
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True)
        return milliseconds(["docker", "pull", image]) / 1000

    knarr, other = in_turn(3, ours, docker)
    subprocess.run(["docker", "rmi", "-f", image], capture_output=True)
    yield {"peer": "docker pull", "knarr": knarr, "other": other, "unit": "s"}


def http(context):
    """Requests per second of a wasi:http hello: Knarr behind -p against wasmtime serve, in turn."""
    if shutil.which("wrk") is None or shutil.which("wasmtime") is None:
        yield {"peer": "wasmtime serve", "skipped": "wrk or wasmtime is not installed"}
        return
    image = context.module("httpd.p2.wasm", "EXPOSE 8080")
    ours, theirs = free_port(), free_port()
    context.run(*context.knarr("run", "-d", "--network", "host", "--name", "bench-http", "-p", f"127.0.0.1:{ours}:8080", image))
    pooling = ["-O", "pooling-allocator=y", "-S", "cli=y", "--max-instance-reuse-count", "1000000000"]
    child = context.spawn("wasmtime", "serve", *pooling, "--addr", f"127.0.0.1:{theirs}", GUESTS / "httpd.p2.wasm")
    try:
        for port in (ours, theirs):
            wait_for_port(port)
        for connections in (1, 16, 64):
            figures = [wrk(port, connections) for _ in range(3) for port in (ours, theirs)]
            for index, name in ((0, "requests/s"), (1, "ms p99")):
                knarr = sorted(f[index] for f in figures[0::2])[1]
                other = sorted(f[index] for f in figures[1::2])[1]
                yield {"peer": f"wasmtime serve, {connections} connections", "knarr": knarr, "other": other, "unit": name}
    finally:
        child.terminate()
        context.run(*context.knarr("rm", "-f", "bench-http"))


def wasm_network(context, megabytes=256):
    """Bytes through one TCP connection between two Wasm containers: by name on a network, against plain loopback."""
    image = context.module("flood.p2.wasm")
    port = free_port()
    servers = []

    def serve(address, *options):
        name = f"bench-flood-{len(servers)}"
        servers.append(name)
        context.run(*context.knarr("run", "-d", "--name", name, *options, image, "serve", address))
        while "listening" not in context.run(*context.knarr("logs", name)):
            time.sleep(0.02)
        return name

    def rate(place, *options):
        return lambda: float(context.run(*context.knarr("run", "--rm", *options, image, place, megabytes)))

    try:
        plain = serve(f"127.0.0.1:{port}", "--network", "host") and rate(f"127.0.0.1:{port}", "--network", "host")
        for backend in ("bridge", "loopback"):
            network = f"bench-{backend}"
            context.run(*context.knarr("network", "create", "--driver", backend, network))
            name = serve("0.0.0.0:7000", "--network", network)
            # the higher figure is the better one, so the ratio is wanted above 1
            knarr, other = in_turn(max(3, context.runs // 6), rate(f"{name}:7000", "--network", network), plain)
            yield {"peer": f"plain loopback ({backend} by name)", "knarr": knarr, "other": other, "unit": "MB/s"}
    finally:
        context.run(*context.knarr("rm", "-f", *servers))
        for backend in ("bridge", "loopback"):
            subprocess.run(context.knarr("network", "rm", f"bench-{backend}"), capture_output=True)


def wrk(port, connections):
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", "-d4s", "--latency", f"http://127.0.0.1:{port}/"],
        check=True, capture_output=True, text=True,
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"wrk met errors: {output}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def memory(context, count=20):
    """PSS of all processes of Knarr per idle container, `count` of them running."""
    context.busybox()
    image = context.module("kit.p2.wasm")
    for kind, aim, command in (
        ("native", 1.5, ["--network", "host", "busybox", "sleep", "1000"]),
        ("wasm", 6.0, [image, "sleep", "1000"]),
    ):
        ids = [context.run(*context.knarr("run", "-d", *command)).strip() for _ in range(count)]
        try:
            per = pss_kib(processes_of(context.program)) / count / 1024
            yield {"peer": f"the aim, {kind}", "knarr": per, "other": aim, "unit": "MiB/container"}
        finally:
            context.run(*context.knarr("rm", "-f", *ids))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def wait_for_http(port):
    """Until a server answers: docker's proxy takes connections before there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing answers on port {port}")


ALL = {
    "wasm-hello": wasm_hello,
    "native-true": native_true,
    "exec-true": exec_true,
    "detached": detached,
    "pull": pull,
    "http": http,
    "memory": memory,
    "wasm-network": wasm_network,
}
