#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A ramdisk archive with what Domain0's toolstack stands on: Debian's xenstored, xenconsoled, the xenstore programs, bash, terminal descriptions, and the shared
# libraries of all these and of Collet's own programs.
#
#   make-tools.sh OUTPUT CACHE
#
# Unlike make-overlay.sh it takes single files out of large packages (pick.sh). Everything is stripped already: Debian's packages are.
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cache=$2
here=$(cd "$(dirname "$0")" && pwd)
xen=usr/lib/xen-4.17/bin

stage=$(mktemp -d)
pool=$(mktemp -d)
trap 'rm -rf "$stage" "$pool"' EXIT
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"
pick_from "$cache" xen-utils-4.17 xenstore-utils bash ncurses-base libc6 libxenstore4 libxenmisc4.17 libxencall1 libxenevtchn1 libxengnttab1 \
    libxenforeignmemory1 libxentoolcore1 libxentoollog1 libxendevicemodel1 libxenhypfs1 libinih1 libjansson4 libncursesw6 libtinfo6 liblzma5 libzstd1 liblz4-1 zlib1g libgcc-s1 libpcap0.8

mkdir -p "$stage/var/lib/xenstored" "$stage/var/log/xen" "$stage/usr/sbin" "$stage/etc"
ln -s /run "$stage/var/run"
for name in xenstored xenconsoled xenconsole xenstore-control; do
    program "$xen/$name" "$xen/$name"
done
ln -s "/$xen/xenstored" "/$xen/xenconsoled" "$stage/usr/sbin/"
program usr/bin/xenstore usr/bin/xenstore
for name in ls read write list rm exists chmod watch; do
    ln -s xenstore "$stage/usr/bin/xenstore-$name"
done
program bin/bash bin/bash
# vt102 is what init sets for a serial console.
for terminal in v/vt100 v/vt102 v/vt220 l/linux x/xterm x/xterm-256color s/screen s/screen-256color d/dumb; do
    [ ! -e "$(find_file lib/terminfo/$terminal 2>/dev/null)" ] || program "lib/terminfo/$terminal" "lib/terminfo/$terminal"
done
# The serial console is read by people and by scripts: no markers around pasted text.
printf 'set enable-bracketed-paste off\nset bell-style none\n' >"$stage/etc/inputrc"

needs_of_all
# What Collet's own programs are linked with.
for name in libxenstore.so.4 libxenevtchn.so.1 libinih.so.1 libjansson.so.4 libncursesw.so.6 libtinfo.so.6 liblzma.so.5 libzstd.so.1 liblz4.so.1 libz.so.1 libm.so.6; do
    library "$name"
done
pcap_library
# Nobody names it, but glibc opens it when a thread is cancelled (xenstore-watch does).
library libgcc_s.so.1
"$here/pack.sh" "$stage" "$output"
