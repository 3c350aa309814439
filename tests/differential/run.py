#!/usr/bin/env python3
"""Runs the cases of builds/ and commands/ with Knarr and with Docker and compares what came of them. See README.md."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import normal
import trees

HERE = Path(__file__).resolve().parent
BUSYBOX = "busybox:latest"


class Program:
    """One of the two programs, and how its commands are run."""

    def __init__(self, name, command, environment, prefix=()):
        self.name, self.command, self.prefix = name, command, list(prefix)
        self.environment = {**os.environ, **environment, "LC_ALL": "C.UTF-8"}
        self.environment.pop("RUST_BACKTRACE", None)

    def run(self, arguments, cwd=None, text=None):
        return self._run([*self.prefix, self.command, *arguments], cwd, text, {})

    def shell(self, script, cwd, variables):
        return self._run([*self.prefix, "sh", "-c", script], cwd, None, {**variables, "D": self.command})

    def _run(self, command, cwd, text, variables):
        ended = subprocess.run(command, cwd=cwd, input=text or b"", capture_output=True, timeout=300,
                               env={**self.environment, **variables}, check=False)
        return ended.returncode, ended.stdout, ended.stderr


def cases(folder):
    found = {}
    for path in sorted((HERE / folder).glob("*.toml")):
        theme = tomllib.loads(path.read_text())
        for case in theme["case"]:
            if case["name"] in found:
                sys.exit(f"{path}: a second case is called {case['name']}")
            found[case["name"]] = {"setup": theme.get("setup", ""), "theme": f"{folder}/{path.stem}", **case}
    return found


def build(program, case, folder):
    """What a build makes: its exit code, the tree, the configuration, what its steps printed."""
    context = folder / program.name
    context.mkdir()
    setup = subprocess.run(["sh", "-euc", case.get("setup", "")], cwd=context, capture_output=True, check=False)
    if setup.returncode:
        sys.exit(f"{case['name']}: the setup fails: {setup.stderr.decode()}")
    text = case["dockerfile"].lstrip("\n").encode() if "dockerfile" in case else None
    from_file = ["-f", "-"] if text is not None else []
    arguments = [*case.get("arguments", []), case.get("context", ".")]
    shared = ["build", *from_file, *([] if "--network" in str(arguments) else ["--network", "none"])]
    image, tar = f"differential-{case['name']}", folder / f"{program.name}.tar"
    code, _, said = program.run([*shared, "--no-cache", "--progress", "plain", "-t", image, *arguments], context, text)
    if code:
        return {"exit code": 1, "said": said}
    result = {"exit code": 0, "said": said, "printed": normal.steps(said)}
    code, document, _ = program.run(["image", "inspect", image])
    if code == 0:
        result["image"] = normal.image(json.loads(document)[0])
        code, lines, _ = program.run(["history", "--no-trunc", "--format", "{{json .CreatedBy}}", image])
        result["history"] = normal.history(lines)
    code, _, said = program.run([*shared, "-o", f"type=tar,dest={tar}", *arguments], context, text)
    if code:
        result["tree"] = {"": f"cannot be exported: {said.decode(errors='replace')}"}
    else:
        result["tree"] = trees.read(tar)
    program.run(["rmi", "-f", image])
    return result


def command(program, case, folder):
    """What a script does: its exit code, its streams, the documents of what it made."""
    cwd = folder / program.name
    cwd.mkdir()
    name = f"differential-{case['name']}"
    variables = {"N": name, "IMAGE": "busybox"}
    code, out, err = program.shell(case["script"], cwd, variables)
    result = {"exit code": code, "stdout": normal.stream(out), "stderr": normal.stream(err, case.get("stderr"))}
    for what in case.get("inspect", []):
        what = what.replace("$N", name)
        found, document, _ = program.run(["inspect", *what.split()])
        result[f"inspect {what}"] = normal.document(json.loads(document)[0] if found == 0 else None)
    if "cleanup" in case:
        program.shell(case["cleanup"], cwd, variables)
    return result


def differences(ours, theirs):
    """Each difference as (where, Knarr's value, Docker's value). Where one of the two refused there is only that."""
    said = [one.pop("said", b"").decode(errors="replace")[-600:] for one in (ours, theirs)]
    if any(said) and ours["exit code"] != theirs["exit code"]:
        return [("exit code", f"{ours['exit code']}: {said[0]}", f"{theirs['exit code']}: {said[1]}")]
    return list(normal.compare(ours, theirs))


class Known:
    """The differences that have a reason, and which of them were met."""

    def __init__(self):
        self.rows = tomllib.loads((HERE / "known.toml").read_text()).get("difference", [])
        headings = (HERE.parent.parent / "docs" / "differences.md").read_text()
        for row in self.rows:
            if f"\n| {row['row']} |" not in headings:
                sys.exit(f"known.toml: docs/differences.md has no row {row['row']!r}")
        self.met = set()

    def covers(self, case, where):
        for index, row in enumerate(self.rows):
            if normal.matches(row["case"], case) and normal.matches(row["where"], where):
                self.met.add(index)
                return True
        return False

    def gone(self):
        return [row for index, row in enumerate(self.rows) if index not in self.met and not row.get("sometimes", False)]


def show(value):
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) < 800 else text[:800] + " …"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only the cases whose theme or name (builds/copy/copy-keeps-modes) holds one of these")
    parser.add_argument("--knarr", help="the program")
    parser.add_argument("--docker", default="unix:///var/run/docker.sock", help="where dockerd listens")
    parser.add_argument("--docker-netns", help="the network namespace in which dockerd lives")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    options = parser.parse_args()
    suites = {"builds": (cases("builds"), build), "commands": (cases("commands"), command)}
    if options.list:
        for kind, (found, _) in suites.items():
            print(f"{kind}: {len(found)}")
            print("\n".join(f"  {case['theme']}/{name}" for name, case in found.items()))
        return
    sys.stdout.reconfigure(line_buffering=True)
    known = Known()
    work = Path(tempfile.mkdtemp(prefix="differential-"))
    knarr = Program("knarr", str(Path(options.knarr).resolve()), {"KNARR_ROOT": str(work / "root")})
    inside = ["nsenter", f"--net={options.docker_netns}"] if options.docker_netns else []
    docker = Program("docker", shutil.which("docker"), {"DOCKER_HOST": options.docker, "DOCKER_BUILDKIT": "1"}, inside)
    base = trees.image(work / "busybox.tar", trees.busybox(), BUSYBOX)
    for program in (knarr, docker):
        code, _, said = program.run(["load", "-i", str(base)])
        if code:
            sys.exit(f"{program.name}: {said.decode()}")
    failed = counted = 0
    for kind, (found, run) in suites.items():
        for name, case in found.items():
            if options.words and not any(word in f"{case['theme']}/{name}" for word in options.words):
                continue
            counted += 1
            folder = work / name
            folder.mkdir()
            ours, theirs = run(knarr, case, folder), run(docker, case, folder)
            expected = case.get("fails", False) if kind == "builds" else bool(theirs["exit code"])
            said = theirs.get("said", b"").decode(errors="replace")
            left = [one for one in differences(ours, theirs) if not known.covers(name, one[0])]
            if expected != bool(theirs["exit code"]):
                left.append(("fails", f"`fails = {str(expected).lower()}` says the case", f"{theirs['exit code']}: {said[-600:]}"))
            for where, mine, other in left:
                print(f"{name}: {where}\n    knarr:  {show(mine)}\n    docker: {show(other)}")
            failed += bool(left)
            shutil.rmtree(folder, ignore_errors=True)
    if not options.words:
        for row in known.gone():
            print(f"known.toml: {row['case']}: {row['where']} is not different any more")
            failed += 1
    knarr.run(["system", "prune", "-af", "--volumes"])
    shutil.rmtree(work, ignore_errors=True)
    print(f"{counted - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
