#!/bin/sh
# Passes the tests: formatting, lints, unit and end-to-end tests. As root, since tests make namespaces, mounts and users.
set -eu
cd "$(dirname "$0")/.."
scripts/prerequisites.sh gcc libc6-dev \
    busybox-static curl git skopeo umoci docker-registry uidmap python3-jsonschema \
    bzip2 iproute2 nftables passt slirp4netns strace util-linux xz-utils zstd \
    clang lld wasi-libc libclang-rt-dev-wasm32

unset RUST_BACKTRACE
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

if [ "$(id -u)" != 0 ]; then
    # cargo builds as this user, and the tests run as root
    machine=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${machine}_RUNNER=sudo --preserve-env=PATH,HOME"
fi
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked "$@"
else
    cargo test --workspace --locked "$@"
fi
