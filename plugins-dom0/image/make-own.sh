#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Domain0's whole ramdisk: the given archives, and behind them one with Collet's own programs and settings.
#
#   make-own.sh OUTPUT PROGRAMS ARCHIVE...
#
# PROGRAMS is build/dom0 as the make fragments leave it: sbin, bin, lib (libcollet.so.*), lib/collet (plugins, plugin-worker), share. Copies are stripped. OUTPUT is left alone
# when its contents would be the same, so that nothing is built again for nothing.
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
programs=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

stage=$(mktemp -d)
trap 'rm -rf "$stage" "$output.own" "$output.partial"' EXIT
put() { # file, folder in the ramdisk
    mkdir -p "$stage/$2"
    cp -P "$1" "$stage/$2/"
    [ -L "$1" ] || case $(head -c 4 "$1" | od -An -t x1 | tr -d ' \n') in
    7f454c46) strip --strip-unneeded "$stage/$2/$(basename "$1")" ;;
    esac
}
put_all() { # folder in PROGRAMS, folder in the ramdisk: programs and libraries, no objects
    [ -d "$programs/$1" ] || return 0
    find "$programs/$1" -maxdepth 1 \( -type f -o -type l \) ! -name '*.[oda]' ! -name '*.so.d' >"$stage.list"
    while read -r file; do
        put "$file" "$2"
    done <"$stage.list"
    rm -f "$stage.list"
}
put_all sbin usr/sbin
put_all bin usr/bin
put_all lib lib/x86_64-linux-gnu
put_all lib/collet usr/lib/collet
put_all lib/collet/plugins usr/lib/collet/plugins
if [ -d "$programs/share" ]; then
    mkdir -p "$stage/usr/share"
    cp -R "$programs/share/." "$stage/usr/share/"
fi
if [ -d "$programs/etc" ]; then
    mkdir -p "$stage/etc"
    cp -R "$programs/etc/." "$stage/etc/"
fi
mkdir -p "$stage/usr/share/bash-completion/completions"
cp "$here/../cli/completion.bash" "$stage/usr/share/bash-completion/completions/collet"
mkdir -p "$stage/etc/collet/plugins" "$stage/etc/collet/examples" "$stage/var/log/collet/console" "$stage/var/cache/collet"
for example in "$here"/examples/*.ini; do # also where `collet create NAME` finds it
    cp "$example" "$stage/etc/collet/examples/"
    ln -s "examples/$(basename "$example")" "$stage/etc/collet/"
done
for plugin in "$here"/../plugins/*/*.ini; do
    [ ! -e "$plugin" ] || cp "$plugin" "$stage/etc/collet/examples/plugin-$(basename "$plugin")"
done
"$here/pack.sh" "$stage" "$output.own"
cat "$@" "$output.own" >"$output.partial"
cmp -s "$output.partial" "$output" || mv "$output.partial" "$output"
