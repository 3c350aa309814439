#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knarr=${KNARR:-knarr}
volume=example-files-$$

stage=$(mktemp -d)
trap '"$knarr" volume rm "$volume" >/dev/null 2>&1 || true; rm -rf "$stage"' EXIT
cp "$here/../../tests/guests/built/kit.p1.wasm" "$stage/kit.wasm"
tar -C "$stage" -cf - kit.wasm |
    "$knarr" import --platform wasi/wasm --change 'ENTRYPOINT ["/kit.wasm"]' - example/files

"$knarr" run --rm -v "$volume:/data" example/files write /data/log 'the first container was here'
"$knarr" run --rm -v "$volume:/data" example/files cat /data/log
if "$knarr" run --rm -v "$volume:/data:ro" example/files write /data/log 'overwritten'; then
    echo 'a read-only volume was written to' >&2
    exit 1
fi
"$knarr" run --rm -v "$volume:/data:ro" example/files cat /data/log
