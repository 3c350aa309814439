"""What differs from run to run is made equal here, and only here."""

import fnmatch
import json
import re

HEX = re.compile(r"(?:sha256:)?\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
SHORT = re.compile(r"\b[0-9a-f]{12}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d(?: [A-Z]{3})?)?")
ADDRESS = re.compile(r"\b(?:172|192|10)\.\d+\.\d+\.\d+\b")
HARDWARE = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
AGO = re.compile(r"(?:About |Less than )?(?:an?|\d+) (?:second|minute|hour)s?(?: ago)?")
STEP = re.compile(r"^#\d+ \d+\.\d+ (.*)$", re.M)


def text(value):
    for pattern, word in ((HEX, "<id>"), (TIME, "<time>"), (HARDWARE, "<mac>"), (ADDRESS, "<address>"), (SHORT, "<id>"), (AGO, "<age>")):
        value = pattern.sub(word, value)
    return value


def stream(data, how=None):
    """`how`: "any" compares only whether there is something, "ignored" not even that. Columns are one blank apart."""
    value = text(data.decode(errors="surrogateescape"))
    if how == "ignored":
        return None
    if how == "any":
        return "something" if value.strip() else ""
    return "\n".join(re.sub(r" {2,}|\t", " ", line).rstrip() for line in value.splitlines())


def steps(said):
    """The lines that the steps of a build printed. Sorted: which of its two streams a step is heard on first is chance."""
    return sorted(STEP.findall(said.decode(errors="surrogateescape")))


def image(document):
    """The configuration as the image has it; nothing and nothing given are the same."""
    config = {key: value for key, value in (document.get("Config") or {}).items() if value not in (None, "", [], {}, False)}
    for key in ("Hostname", "Domainname", "Image"):
        config.pop(key, None)
    return {"config": config, "layers": len(document["RootFS"].get("Layers") or []), "os": document["Os"],
            "architecture": document["Architecture"], "author": document.get("Author", "")}


def history(lines):
    return [text(json.loads(line)) for line in lines.decode().splitlines()]


def document(value):
    """Process ids are any, and mounts come in the order of their places: Docker's comes from a hash table."""
    if isinstance(value, dict):
        value = {text(key): document(one) for key, one in value.items()}
        if value.get("Pid"):
            value["Pid"] = "<pid>"
        if value.get("Mounts"):
            value["Mounts"].sort(key=lambda mount: mount.get("Destination") or mount.get("Target"))
        return value
    if isinstance(value, list):
        return [document(one) for one in value]
    return text(value) if isinstance(value, str) else value


def compare(ours, theirs, path=()):
    """Walks two documents: yields (where, ours, theirs) for each leaf that differs. Where is `tree/etc/hosts/mode`."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from compare(ours.get(key, "<nothing>"), theirs.get(key, "<nothing>"), (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs) and any(isinstance(x, dict) for x in ours):
        for index, (one, other) in enumerate(zip(ours, theirs)):
            yield from compare(one, other, (*path, str(index)))
    elif ours != theirs:
        yield "/".join(path), ours, theirs


def matches(pattern, value):
    """Shell patterns, or a list of them."""
    return any(fnmatch.fnmatchcase(value, one) for one in ([pattern] if isinstance(pattern, str) else pattern))
