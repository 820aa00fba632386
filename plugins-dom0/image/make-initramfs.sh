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
cp "$here/inittab" "$here/profile" etc/
echo 'root::0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
echo 'dom0' >etc/hostname
for module in xen-privcmd xenfs xen-evtchn xen-gntdev xen-gntalloc; do
    find "$kernel/lib/modules" "$kernel/usr/lib/modules" -name "$module.ko*" 2>/dev/null | while read -r file; do
        case $file in
        *.ko) cp "$file" "lib/modules/$module.ko" ;;
        *.ko.xz) xz -dc "$file" >"lib/modules/$module.ko" ;;
        *.ko.zst) zstd -qdc "$file" >"lib/modules/$module.ko" ;;
        esac
    done
done
"$here/pack.sh" "$stage" "$output"
