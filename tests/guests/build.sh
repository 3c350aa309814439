#!/bin/bash
# Builds all guests from their sources into built/, and writes down in built/SOURCES which sources they are of.
# `build.sh --check` builds nothing and fails if sources or built files are not what SOURCES says.
set -euo pipefail
cd "$(dirname "$0")"
prefix=${KNARR_GUEST_TOOLCHAIN:-$HOME/.cache/knarr-guests}

# Every file that decides what comes out, and what came out.
digests() {
    local LC_ALL=C
    export LC_ALL
    find build.sh hello rust built -type f ! -path '*/target/*' ! -name SOURCES | sort | xargs sha256sum
}

if [ "${1-}" = --check ]; then
    if ! diff <(digests) built/SOURCES; then
        echo "tests/guests: sources and built files differ: run tests/guests/toolchain.sh and tests/guests/build.sh" >&2
        exit 1
    fi
    exit 0
fi

rm -rf built
mkdir built

rust() {
    export PATH=$prefix/bin:$PATH RUSTC=$prefix/bin/rustc-wasi CARGO_TARGET_DIR=$prefix/work/target
    (cd rust && cargo build -q --locked --release --target wasm32-wasip1)
    for name in kit sockd; do
        cp "$CARGO_TARGET_DIR/wasm32-wasip1/release/$name.wasm" "built/$name.p1.wasm"
    done
    component kit command kit.p2
    component tcpd command tcpd.p2
    component tcpc command tcpc.p2
    component udp command udp.p2
    component redis command redis.p2
    component flood command flood.p2
    component httpd reactor httpd.p2
    component httpd proxy httpd.proxy.p2
    component odd proxy odd.p2
    # the same among many core instances, as interpreters have them
    wasm-tools print built/odd.p2.wasm | sed '$d' | {
        cat
        echo '(core module $more)'
        for _ in {1..16}; do echo '(core instance (instantiate $more))'; done
        echo ')'
    } | wasm-tools parse -o built/odd-many.p2.wasm -
    component p3cli reactor p3cli.p3
    component p3httpd reactor p3httpd.p3
    component p3net reactor p3net.p3
}

component() { # CRATE ADAPTER NAME
    wasm-tools component new "$CARGO_TARGET_DIR/wasm32-wasip1/release/$1.wasm" \
        --adapt "wasi_snapshot_preview1=$prefix/bin/adapter.$2.wasm" -o "built/$3.wasm"
    wasm-tools validate --features all "built/$3.wasm"
}

hello() { # one source without a library, three variants
    local flags=(-Os -ffreestanding -fno-builtin -nostdlib -fno-asynchronous-unwind-tables -fno-stack-protector
        -fno-ident -Wall -Wextra -Werror)
    local native=(-static -fuse-ld=lld -Wl,--build-id=none,-z,noseparate-code,-z,norelro,-s)
    local wasm=(-Wl,--no-entry,-s,--initial-memory=131072,-z,stack-size=16384)
    clang --target=x86_64-linux-gnu "${flags[@]}" "${native[@]}" -o built/hello.linux-amd64 hello/hello.c
    clang --target=aarch64-linux-gnu "${flags[@]}" "${native[@]}" -o built/hello.linux-arm64 hello/hello.c
    clang --target=wasm32 "${flags[@]}" "${wasm[@]}" -o built/hello.wasm hello/hello.c
}

rust
hello
chmod 644 built/*.wasm
digests >built/SOURCES
ls -l built
