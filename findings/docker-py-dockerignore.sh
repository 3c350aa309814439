#!/bin/sh
# docker 7.2.0 (the Python SDK, which other tools build with): an exception of .dockerignore that begins with `**`, or has one
# in the middle, brings nothing back out of a directory that is excluded.
#
# With `*` and then `!**/keep.py`, Docker's own builder sends every keep.py, however deep: `**` stands for any number of
# directories, none included, and an exception may lie below what an earlier line excludes. The SDK looks only into those
# excluded directories whose path begins an exception's text, word by word; `**` begins nothing. It sends no file at all, and
# with `!src/**/*.py` only those directly in src. There is no error: the build misses files, or takes the wrong ones.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install docker==7.2.0
mkdir -p "$work/context/src/deep/down"
touch "$work/context/src/keep.py" "$work/context/src/deep/down/keep.py" "$work/context/other.txt"
"$work/venv/bin/python" - "$work/context" <<'PYTHON'
import os, sys
from docker.utils.build import exclude_paths
context = sys.argv[1]

def files(*patterns):
    sent = exclude_paths(context, list(patterns))
    return sorted(path for path in sent if os.path.isfile(os.path.join(context, path)))

cases = [
    # patterns, what Docker sends, what the SDK sends
    (("*", "!**/keep.py"), ["src/deep/down/keep.py", "src/keep.py"], []),
    (("*", "!src/**/*.py"), ["src/deep/down/keep.py", "src/keep.py"], ["src/keep.py"]),
    # without a directory that is excluded both agree
    (("**/*.txt",), ["src/deep/down/keep.py", "src/keep.py"], ["src/deep/down/keep.py", "src/keep.py"]),
]
for patterns, docker, seen in cases:
    got = files(*patterns)
    print(patterns, "Docker sends", docker, "the SDK sends", got)
    assert got == seen, f"this has changed: {got}"
PYTHON
