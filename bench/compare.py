#!/usr/bin/env python3
"""Compares Knarr with its peers in one run, A B A B …, and reports ratios of medians.

    bench/compare.py [--knarr PATH] [--runs N] [--bases OCI_LAYOUT] [--json FILE] [CASE ...]

Cases: wasm-hello native-true exec-true detached pull http memory network-start network-throughput network-publish
network-wasm build-flask build-stages compose-services compose-ps (default: all). A peer that is not
installed (or a daemon that does not answer) is skipped, and the table says so. Needs root for the native cases.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import builds  # noqa: E402
import cases  # noqa: E402
import networks  # noqa: E402
import projects  # noqa: E402

ALL = {**cases.ALL, **networks.ALL, **builds.ALL, **projects.ALL}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knarr", default="target/release/knarr")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--bases", help="an OCI layout with a busybox-latest (and for pull python-3.11-slim, for networks tools-latest and nginx-alpine) tag")
    parser.add_argument("--json", help="write the rows there as well")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    arguments = parser.parse_args()
    knarr = os.path.abspath(arguments.knarr)
    if not os.access(knarr, os.X_OK):
        sys.exit(f"no program at {knarr}: run `cargo build --release` first, or pass --knarr")
    unknown = set(arguments.cases) - set(ALL)
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")

    rows = []
    with tempfile.TemporaryDirectory(prefix="knarr-bench-") as directory:
        context = cases.Context(knarr, pathlib.Path(directory), arguments.runs, arguments.bases)
        try:
            for name in arguments.cases or ALL:
                print(f"{name} …", file=sys.stderr, flush=True)
                for row in ALL[name](context):
                    rows.append({"case": name, **row})
                    print(line(rows[-1]), flush=True)
        finally:
            context.close()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")


def line(row):
    if "skipped" in row:
        return f"| {row['case']} | {row['peer']} | skipped: {row['skipped']} | | |"
    ratio = row["knarr"] / row["other"] if row["other"] else float("inf")
    return (
        f"| {row['case']} | {row['peer']} | {row['knarr']:.2f} {row['unit']} | "
        f"{row['other']:.2f} {row['unit']} | {ratio:.2f} |"
    )


if __name__ == "__main__":
    main()
