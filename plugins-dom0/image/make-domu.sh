#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A ramdisk archive for Domain0 with what guests are made of, under /boot: Debian's standard and cloud kernels as the packages have them, a ramdisk for them, and tiny
# PV kernels.
#
#   make-domu.sh OUTPUT CACHE BUILD
#
# BUILD has kernels/*.elf and domu-work (domu/work.c, static). The guests' ramdisk is loaded into every guest, so it is small: busybox, init and the work program.
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cache=$2
build=$(cd "$3" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

kernel_package() { # meta package
    apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1
}
standard=$("$here/fetch-deb.sh" "$cache" "$(kernel_package linux-image-amd64)")
cloud=$("$here/fetch-deb.sh" "$cache" "$(kernel_package linux-image-cloud-amd64)")
busybox=$("$here/fetch-deb.sh" "$cache" busybox-static)

stage=$(mktemp -d)
guest=$(mktemp -d)
trap 'rm -rf "$stage" "$guest"' EXIT

cd "$guest"
mkdir -p bin sbin etc root tmp run proc sys dev
cp "$busybox/bin/busybox" bin/busybox
for applet in $(bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "bin/$applet"
done
ln -s bin/busybox init
for name in init poweroff reboot halt; do
    ln -s ../bin/busybox "sbin/$name"
done
cp "$here/domu/inittab" "$here/domu/start" "$here/network-up" etc/
chmod 755 etc/start etc/network-up
cp "$build/domu-work" bin/work
strip bin/work
stage_of_all=$stage
stage=$guest
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"
module "$standard" xen-netfront
stage=$stage_of_all
echo 'root::0:0:root:/root:/bin/sh' >etc/passwd
mkdir -p "$stage/boot/tiny"
"$here/pack.sh" "$guest" "$stage/boot/domu.cpio"

cd "$stage"
cp "$standard"/boot/vmlinuz-* boot/debian.vmlinuz
cp "$cloud"/boot/vmlinuz-* boot/cloud.vmlinuz
for kernel in "$build"/kernels/*.elf; do
    cp "$kernel" boot/tiny/
    strip --strip-debug "boot/tiny/$(basename "$kernel")"
done
"$here/pack.sh" "$stage" "$output"
