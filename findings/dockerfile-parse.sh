#!/bin/sh
# dockerfile-parse 2.0.1 (with it build systems find and replace the base images of a Dockerfile): `${NAME:-default}` is replaced
# wrongly, and the lines of a here-document are instructions.
#
# 1. The Dockerfile reference has `${NAME:-word}` and `${NAME:+word}`. The parser stops at the name and keeps the rest of the
#    text: with ARG V=1, `FROM image:${V:-2}` has the base image `image:1:-2}`. Nothing is raised. 2. A here-document's text
#    (RUN <<EOF, COPY <<EOF /file) is not part of the instruction: a line of a note that begins with "From" is a stage with a base
#    image, and the last stage's at that.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install dockerfile-parse==2.0.1
"$work/venv/bin/python" - <<'PYTHON'
import io
from dockerfile_parse import DockerfileParser

def images(text):
    return DockerfileParser(fileobj=io.BytesIO(text.encode())).parent_images

cases = [
    # the Dockerfile, what Docker builds from, what the parser says
    ("ARG V=1\nFROM image:${V:-2}\n", ["image:1"], ["image:1:-2}"]),
    ("ARG V=1\nFROM image:$V\n", ["image:1"], ["image:1"]),
    ("FROM image\nCOPY <<EOF /note\nFrom the author\nEOF\n", ["image"], ["image", "the"]),
]
for text, docker, seen in cases:
    got = images(text)
    print(repr(text), "Docker builds from", docker, "the parser says", got)
    assert got == seen, f"this has changed: {got}"
PYTHON
