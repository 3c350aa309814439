#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knarr=${KNARR:-knarr}
name=http-service-$$

stage=$(mktemp -d)
trap '"$knarr" rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$stage"' EXIT
cp "$here/../../tests/guests/built/httpd.p2.wasm" "$stage/service.wasm"
tar -C "$stage" -cf - service.wasm |
    "$knarr" import --platform wasi/wasm \
        --change 'ENTRYPOINT ["/service.wasm"]' --change 'EXPOSE 8080' - example/http-service

"$knarr" run -d --name "$name" -p 127.0.0.1::8080 -e GREETING=ahoy example/http-service
address=$("$knarr" port "$name" 8080/tcp)
curl --fail --silent --show-error --retry 5 --retry-connrefused "http://$address/env"
"$knarr" logs "$name"
"$knarr" stop "$name"
"$knarr" inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$name"
