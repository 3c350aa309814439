"""Exported trees: what is in a tar archive, entry by entry; and the root file system that all cases begin with."""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import time
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
STARTED = time.time() - 24 * 3600
KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link",
         tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device"}


def read(path):
    """path → its properties. Hard links are told by the first of their names in order; times only where a case fixed them."""
    tree, same = {}, {}
    with tarfile.open(path) as archive:
        for entry in archive:
            name = entry.name.strip("/").removeprefix("./") or "."
            found = {"kind": KINDS.get(entry.type, str(entry.type)), "mode": oct(entry.mode), "owner": f"{entry.uid}:{entry.gid}"}
            if entry.isreg():
                found["content"] = hashlib.sha256(archive.extractfile(entry).read()).hexdigest()[:16]
                found["size"] = entry.size
            if entry.issym():
                found["target"] = entry.linkname
                del found["mode"]
            if entry.isdev() and not entry.isfifo():
                found["device"] = f"{entry.devmajor}:{entry.devminor}"
            if entry.mtime < STARTED:
                found["directory time" if entry.isdir() else "time"] = int(entry.mtime)
            attributes = {key.removeprefix("SCHILY.xattr."): value for key, value in entry.pax_headers.items()
                          if key.startswith("SCHILY.xattr.")}
            if attributes:
                found["attributes"] = attributes
            if entry.islnk():
                target = entry.linkname.strip("/").removeprefix("./")
                found = dict(tree[target])
                same.setdefault(target, {target}).add(name)
            tree[name] = found
    for names in same.values():
        for name in names:
            tree[name] = {**tree[name], "links": sorted(names)}
    return tree


def image(path, layer, reference):
    """An archive of one image with one layer, as `docker save` writes it: both programs begin with the same bytes."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({"architecture": ARCHITECTURE, "os": "linux", "created": "2023-11-14T22:13:20Z",
                         "config": {"Cmd": ["sh"], "Env": [f"PATH={PATH}"]},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                         "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "busybox"}]}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, data in ((f"{digest}/layer.tar", layer), (name, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def busybox():
    """A small root file system as a layer: archive times, nothing of a registry."""
    program = next(p for p in (Path("/bin/busybox"), Path("/usr/bin/busybox")) if p.exists())
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        def add(name, mode, **fields):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = mode, 1_700_000_000
            data = fields.pop("data", b"")
            entry.size = len(data)
            for key, value in fields.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(data))

        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var"):
            add(name, 0o1777 if name == "tmp" else 0o755, type=tarfile.DIRTYPE)
        add("bin/busybox", 0o755, data=program.read_bytes())
        for applet in applets:
            if applet != "busybox":
                add(f"bin/{applet}", 0o777, type=tarfile.SYMTYPE, linkname="busybox")
        add("etc/passwd", 0o644, data=b"root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home:/bin/sh\n")
        add("etc/group", 0o644, data=b"root:x:0:\nana:x:1000:\ncrew:x:2000:ana\n")
        for name in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
            add(name, 0o644)
    return layer.getvalue()
