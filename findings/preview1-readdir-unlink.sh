#!/bin/sh
# wasmtime 50.0.1 (from Python) and the WASI of Node 22.23.3: a guest of preview 1 that empties a directory while it reads it, as
# `rm -r` of most languages does, leaves about half of the files.
#
# fd_readdir is asked again with the cookie of the last entry it gave. A good guess is POSIX: what is neither added nor removed
# since the directory was opened is told of exactly once. In both hosts the cookie is a position in a listing that is made anew
# at each call: when the first n names are gone, the next n are passed over. Directories that fit into one buffer are emptied,
# so small tests see nothing; from some 270 names and 4 KiB on files stay, and nothing fails.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install wasmtime==50.0.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@22.23.3 >/dev/null

# It reads from cookie to cookie into 4 KiB, and unlinks each file that it is told of. It returns how many it has unlinked.
cat >guest.wat <<'WAT'
(module
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $unlink (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "empty") (result i32)
    (local $cookie i64) (local $entry i32) (local $end i32) (local $name i32) (local $length i32) (local $count i32)
    (loop $again
      (if (call $readdir (i32.const 3) (i32.const 1024) (i32.const 4096) (local.get $cookie) (i32.const 0))
        (then unreachable))
      (local.set $entry (i32.const 1024))
      (local.set $end (i32.add (i32.const 1024) (i32.load (i32.const 0))))
      (block $cut
        (loop $next
          (local.set $name (i32.add (local.get $entry) (i32.const 24)))
          (br_if $cut (i32.gt_u (local.get $name) (local.get $end)))
          (local.set $length (i32.load offset=16 (local.get $entry)))
          (br_if $cut (i32.gt_u (i32.add (local.get $name) (local.get $length)) (local.get $end)))
          (local.set $cookie (i64.load (local.get $entry)))
          (if (i32.eq (i32.load8_u offset=20 (local.get $entry)) (i32.const 4)) ;; a regular file
            (then
              (if (call $unlink (i32.const 3) (local.get $name) (local.get $length)) (then unreachable))
              (local.set $count (i32.add (local.get $count) (i32.const 1)))))
          (local.set $entry (i32.add (local.get $name) (local.get $length)))
          (br $next)))
      ;; a buffer that is not full is the last
      (br_if $again (i32.eq (i32.load (i32.const 0)) (i32.const 4096))))
    (local.get $count)))
WAT
venv/bin/python -c 'import wasmtime; open("guest.wasm", "wb").write(wasmtime.wat2wasm(open("guest.wat").read()))'

cat >in_wasmtime.py <<'PYTHON'
import sys
from wasmtime import Engine, Linker, Module, Store, WasiConfig
engine, wasi = Engine(), WasiConfig()
wasi.preopen_dir(sys.argv[1], "/")
store, linker = Store(engine), Linker(engine)
store.set_wasi(wasi)
linker.define_wasi()
print(linker.instantiate(store, Module.from_file(engine, "guest.wasm")).exports(store)["empty"](store))
PYTHON
cat >in_node.mjs <<'NODE'
import { WASI } from "node:wasi";
import { readFileSync } from "node:fs";
const wasi = new WASI({ version: "preview1", preopens: { "/": process.argv[2] } });
const { instance } = await WebAssembly.instantiate(readFileSync("guest.wasm"), wasi.getImportObject());
wasi.initialize(instance);
console.log(instance.exports.empty());
NODE

fill() {
    mkdir "$1"
    i=0
    while [ $i -lt "$2" ]; do
        i=$((i + 1))
        : >"$1/$(printf 'file%05d' $i)"
    done
}

for files in 100 2000; do
    for host in "venv/bin/python in_wasmtime.py" "node_modules/.bin/node --no-warnings in_node.mjs"; do
        rm -rf files
        fill files $files
        unlinked=$($host "$PWD/files")
        left=$(find files -type f | wc -l)
        echo "${host##* }: of $files files $unlinked were unlinked, $left are left"
        [ $((unlinked + left)) = $files ]
        case $files in
            100) [ "$left" = 0 ] ;;
            *) [ "$left" -gt 500 ] || { echo "this has changed" >&2; exit 1; } ;;
        esac
    done
done
