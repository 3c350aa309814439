#!/bin/sh
# Builds the release program and prints its path. Statically linked: it starts in half the time, and runs on any distribution.
set -eu
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
case $target in
*-linux-gnu)
    # without a target of its own cargo would link the procedural macros statically too, which rustc refuses
    export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static -C relocation-model=static"
    case $target in
    # where rustc links with lld; what a start runs through lies side by side, which spares it a millisecond of page faults
    x86_64-*) order="-Clink-arg=-Wl,--symbol-ordering-file=$PWD/scripts/startup-order.txt,--no-warn-symbol-ordering" ;;
    *) order="" ;;
    esac
    cargo rustc --release --locked --target "$target" --bin knarr "$@" -- ${order:+"$order"} >&2
    echo "$PWD/target/$target/release/knarr"
    ;;
*)
    cargo build --release --locked "$@" >&2
    echo "$PWD/target/release/knarr"
    ;;
esac
