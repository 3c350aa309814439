#!/bin/sh
# Makes the images of the README's walk out of what this clone and this machine have: nothing is fetched.
#   busybox   a native image (package busybox-static)
#   kit       a Wasm program of many small commands
#   service   a Wasm HTTP service
set -eu
here=$(cd "$(dirname "$0")" && pwd)
knarr=${KNARR:-knarr}
guests=$here/../tests/guests/built

busybox=$(command -v busybox) || { echo "busybox is missing: apt-get install busybox-static" >&2; exit 1; }
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/bin" "$stage/etc" "$stage/tmp"
chmod 1777 "$stage/tmp"
cp "$busybox" "$stage/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$stage/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$stage/etc/passwd"
echo 'root:x:0:' >"$stage/etc/group"
tar -C "$stage" --owner=0 --group=0 -cf - . |
    "$knarr" import --change 'CMD ["sh"]' --change 'ENV PATH=/bin' - busybox

"$knarr" package "$guests/kit.p2.wasm" -t kit
"$knarr" package "$guests/httpd.p2.wasm" --expose 8080 -t service
