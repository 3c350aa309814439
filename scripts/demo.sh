#!/bin/sh
# Builds Knarr and runs its main job: one image, two variants, the right one chosen. Needs no registry.
set -eu
cd "$(dirname "$0")/.."
scripts/prerequisites.sh gcc libc6-dev

knarr=$(scripts/build.sh)

show() {
    printf '\n$ knarr'
    printf ' %s' "$@"
    printf '\n'
    "$knarr" "$@"
}
show run --rm --explain hello
show run --rm --platform "linux/$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')" hello ||
    echo "(Native containers need more rights here; Wasm containers do not.)"
show images
printf '\nKnarr is %s\nPut it on your PATH and type knarr where you typed docker.\n' "$knarr"
