"""Builds: a Flask project (cold, cached, one file changed), and ten stages of two hundred files."""

import os
import shutil
import subprocess

from timing import in_turn, milliseconds

DOCKERFILE = """\
FROM {base}
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app.py .
ENV PORT=5000
EXPOSE 5000
CMD ["gunicorn", "--bind", "0.0.0.0:5000", "app:app"]
"""

APP = """\
from flask import Flask
import os

app = Flask(__name__)

@app.route('/')
def hello():
    return 'Hello'

if __name__ == '__main__':
    app.run(host='0.0.0.0', port=int(os.environ.get('PORT', 5000)))
"""

STAGES, FILES = 10, 200


class Builder:
    """One program that builds: how it is called, and by which name it knows a base image."""

    def __init__(self, name, command, base, options=()):
        self.name = name
        self.command = list(map(str, command))
        self.base = base
        self.environment = {**os.environ, **dict(options)}

    def build(self, folder, tag, *options):
        dockerfile = folder / f"Dockerfile.{self.name.split()[0]}"
        command = [*self.command, *options, "--network", "host", "-t", tag, "-f", dockerfile, folder]
        return milliseconds(list(map(str, command)), env=self.environment)


def builders(context, tag):
    """Knarr first; then every peer that is there, and why another one is not. `tag` is of the layout of bases."""
    reference = f"bench/{tag}:latest"
    source = f"oci:{context.layout()[0]}:{tag}"
    archive = context.directory / f"{tag}.tar"
    context.run("skopeo", "copy", "--insecure-policy", source, f"oci-archive:{archive}:{reference}")
    context.run(*context.knarr("load", "-i", archive))
    ours = Builder("knarr", context.knarr("build", "--progress", "plain"), reference)
    peers, skipped = [], []
    if context.docker() is None:
        skipped.append(("docker build", "no Docker daemon answers"))
    else:
        context.run("skopeo", "copy", "--insecure-policy", source, f"docker-daemon:{reference}")
        has_buildkit = subprocess.run(["docker", "buildx", "version"], capture_output=True).returncode == 0
        kind = "BuildKit" if has_buildkit else "classic"
        switch = {"DOCKER_BUILDKIT": "1" if has_buildkit else "0"}
        peers.append(Builder(f"docker build ({kind})", ["docker", "build"], reference, switch))
    if shutil.which("buildah") is None:
        skipped.append(("buildah bud", "buildah is not installed"))
    else:
        state = context.directory / "buildah"
        buildah = ["buildah", "--root", state, "--runroot", f"{state}-run", "--storage-driver", "overlay"]
        context.run(*buildah, "pull", "--policy", "never" if peers else "missing", f"oci-archive:{archive}")
        # crun and runc of a hybrid host differ in what they take; chroot works everywhere, and is the fastest
        peers.append(Builder("buildah bud", [*buildah, "bud", "--layers", "--isolation", "chroot"], reference))
    return ours, peers, skipped


def flask(context):
    if not context.bases:
        yield {"peer": "docker build", "skipped": "no --bases with python-3.11-slim"}
        return
    ours, peers, skipped = builders(context, "python-3.11-slim")
    folder = context.directory / "flask"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "requirements.txt").write_text("flask==3.0.0\ngunicorn==21.2.0\n")
    write_dockerfiles(folder, DOCKERFILE, [ours, *peers])
    number = iter(range(10**9))

    def change():
        with open(folder / "app.py", "a") as file:
            file.write(f"# {next(number)}\n")

    few = max(3, context.runs // 10)
    for what, runs, options, prepare in (
        ("cold", few, ["--no-cache"], lambda: None),
        ("all cached", context.runs, [], lambda: None),
        ("app.py changed", context.runs, [], change),
    ):
        yield from compare(ours, peers, folder, what, runs, options, prepare)
    for peer, reason in skipped:
        yield {"peer": peer, "skipped": reason}


def stages(context):
    """Ten stages, each with twenty of two hundred files and a step of its own; the last one gathers them."""
    ours, peers, skipped = builders(context, context.layout()[1])
    folder = context.directory / "stages"
    folder.mkdir()
    lines = []
    each = FILES // STAGES
    for stage in range(STAGES):
        (folder / f"part{stage}").mkdir()
        for number in range(each):
            (folder / f"part{stage}" / f"file{number}").write_text(f"{stage} {number}\n" * 100)
        lines += [f"FROM {{base}} AS s{stage}", f"COPY part{stage} /in", f"RUN cat /in/* >/out{stage}"]
    lines.append("FROM {base}")
    lines += [f"COPY --from=s{stage} /out{stage} /" for stage in range(STAGES)]
    write_dockerfiles(folder, "\n".join(lines) + "\n", [ours, *peers])
    few = max(3, context.runs // 5)
    yield from compare(ours, peers, folder, f"{STAGES} stages, cold", few, ["--no-cache"], lambda: None)
    yield from compare(ours, peers, folder, f"{STAGES} stages, all cached", context.runs, [], lambda: None)
    for peer, reason in skipped:
        yield {"peer": peer, "skipped": reason}


def write_dockerfiles(folder, template, all_builders):
    for builder in all_builders:
        path = folder / f"Dockerfile.{builder.name.split()[0]}"
        path.write_text(template.format(base=builder.base))


def compare(ours, peers, folder, what, runs, options, prepare):
    """Each builder in turn, once to fill its cache, then `runs` times; one preparation for each."""

    def build(builder):
        def once():
            prepare()
            return builder.build(folder, "bench-build", *options) / 1000

        return once

    for peer in peers:
        knarr, other = in_turn(runs, build(ours), build(peer))
        yield {"peer": f"{peer.name}: {what}", "knarr": knarr, "other": other, "unit": "s"}


ALL = {"build-flask": flask, "build-stages": stages}
