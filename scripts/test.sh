#!/bin/sh
# Passes the tests: formatting, lints, unit and end-to-end tests. As root, since tests make namespaces, mounts and users.
set -eu
cd "$(dirname "$0")/.."
scripts/prerequisites.sh gcc libc6-dev \
    busybox-static curl skopeo umoci docker-registry uidmap python3-jsonschema

unset RUST_BACKTRACE
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo --preserve-env=PATH,HOME"
if cargo nextest --version >/dev/null 2>&1; then
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$as_root CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$as_root \
        cargo nextest run --workspace --locked "$@"
else
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$as_root CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$as_root \
        cargo test --workspace --locked "$@"
fi
