#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Assemble Domain0's ramdisk from Debian packages.
#
#   make-initramfs.sh OUTPUT BUSYBOX-PACKAGE KERNEL-PACKAGE      (both unpacked, as fetch-deb.sh leaves them)
#
# Device nodes need root to make, so there are none: the kernel's built-in archive has /dev/console, devtmpfs brings the rest.
# Nothing is compressed: unpacking under emulation costs more than reading.
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
busybox=$2
kernel=$3
here=$(cd "$(dirname "$0")" && pwd)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"
mkdir -p bin sbin usr/bin usr/sbin usr/local/bin etc root tmp run proc sys dev lib/modules mnt var
cp "$busybox/bin/busybox" bin/busybox
for applet in $("$busybox/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "bin/$applet"
done
ln -s ../bin/busybox sbin/init
cp "$here/init" init
chmod 755 init
cp "$here/inittab" "$here/profile" "$here/stop" "$here/network-up" etc/
chmod 755 etc/stop etc/network-up
# tcpdump reads files as a user of its own.
printf '%s\n' 'root::0:0:root:/root:/bin/sh' 'tcpdump:x:100:100::/tmp:/bin/false' >etc/passwd
printf '%s\n' 'root:x:0:' 'tcpdump:x:100:' >etc/group
echo 'dom0' >etc/hostname
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"
for name in xen-privcmd xenfs xen-evtchn xen-gntdev xen-gntalloc xen-blkfront xen-netfront tun; do
    module "$kernel" "$name"
done
"$here/pack.sh" "$stage" "$output"
