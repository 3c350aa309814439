#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knarr=${KNARR:-knarr}
image=example/greeter
name=both-shores-$$
case $(uname -m) in
x86_64) linux=linux/amd64 ;;
aarch64) linux=linux/arm64 ;;
*) linux=linux/$(uname -m) ;;
esac

context=$(mktemp -d)
trap '"$knarr" rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$context"' EXIT
cp "$here/Dockerfile" "$here/greeter.sh" "$context"
# the HTTP service that the tests use stands for the project's own module
cp "$here/../../tests/guests/built/httpd.p2.wasm" "$context/greeter.wasm"
cp "$(command -v busybox)" "$context/busybox"

"$knarr" build --platform "wasi/wasm,$linux" -t "$image" "$context"
"$knarr" images "$image"

# asks a running container what both variants answer
ask() {
    curl --fail --silent --show-error --retry 10 --retry-connrefused "http://$1/env"
    curl --fail --silent --show-error --data "across the sea" "http://$1/echo"
    echo
}

echo "== wasi/wasm"
"$knarr" run -d --name "$name" -p 127.0.0.1::8080 "$image"
address=$("$knarr" port "$name" 8080/tcp)
ask "$address"
"$knarr" rm -f "$name"

echo "== $linux"
"$knarr" run -d --name "$name" --platform "$linux" --network host -e "PORT=${address##*:}" "$image"
ask "$address"
