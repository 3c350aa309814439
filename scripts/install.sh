#!/bin/sh
# Builds the release program and installs it, with completion for bash: below /usr/local as root, below ~/.local otherwise,
# or below the folder that is named.
set -eu
cd "$(dirname "$0")/.."
scripts/prerequisites.sh gcc libc6-dev

if [ "$(id -u)" = 0 ]; then default=/usr/local; else default=$HOME/.local; fi
prefix=${1:-$default}
knarr=$(scripts/build.sh)
mkdir -p "$prefix/bin" "$prefix/share/bash-completion/completions"
# replaced in one step: a running container's monitor keeps the old file
cp "$knarr" "$prefix/bin/.knarr.new"
mv "$prefix/bin/.knarr.new" "$prefix/bin/knarr"
"$prefix/bin/knarr" completion bash >"$prefix/share/bash-completion/completions/knarr"
echo "installed $prefix/bin/knarr"
case :$PATH: in
*":$prefix/bin:"*) ;;
*) echo "$prefix/bin is not on your PATH yet" ;;
esac
