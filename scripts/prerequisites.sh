#!/bin/sh
# Makes sure that the system packages named as arguments are there (Debian, Ubuntu), or says in one line what is missing.
set -eu

if ! command -v cargo >/dev/null 2>&1; then
    echo "Knarr needs Rust 1.95 or newer: install it with rustup, then run this again." >&2
    exit 1
fi

missing=
for package in "$@"; do
    if command -v dpkg-query >/dev/null 2>&1; then
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    fi
done
[ -z "$missing" ] && exit 0

root=
[ "$(id -u)" = 0 ] || root=$(command -v sudo || true)
if [ "$(id -u)" != 0 ] && [ -z "$root" ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get -o DPkg::Lock::Timeout=300 -qq update || true
# shellcheck disable=SC2086 # a list of words
$root apt-get -o DPkg::Lock::Timeout=300 -qq -y install --no-install-recommends $missing >/dev/null
