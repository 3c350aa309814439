#!/bin/sh
# From one C source to an image with two variants. Needs: apt-get install gcc clang lld wasi-libc libclang-rt-dev-wasm32
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knarr=${KNARR:-knarr}
image=example/from-source

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
clang --target=wasm32-wasi -O2 -o "$stage/greeter.wasm" "$here/greeter.c"
cc -static -O2 -o "$stage/greeter" "$here/greeter.c"
"$knarr" package "$stage/greeter.wasm" --linux "$stage/greeter" -t "$image"

"$knarr" images "$image"
"$knarr" run --rm -e GREETING=ahoy "$image" "from WebAssembly"
case $(uname -m) in
x86_64) linux=linux/amd64 ;;
aarch64) linux=linux/arm64 ;;
*) linux=linux/$(uname -m) ;;
esac
"$knarr" run --rm --platform "$linux" -e GREETING=ahoy "$image" "from Linux"
