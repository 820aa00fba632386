#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The disk images and Domain0's programs for disks without a hypervisor, by QEMU's own virtio devices: what fails here is no fault of Collet's.
#
#   native.sh      Domain0's image with tools.sh; then the Debian system to its login and down again
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
out=$build/tests
work=$out/disks-native
failed=0
rm -rf "$work" && mkdir -p "$work/overlay/test"
trap 'rm -rf "$work"' EXIT
cp "$here"/*.sh "$work/overlay/test/"
cp "$here/../domains/lib.sh" "$work/overlay/test/lib.sh"
cp "$here/lib.sh" "$work/overlay/test/disks-lib.sh"
cp "$here/../domains/all.sh" "$work/overlay/test/all.sh"
"$here/../../../plugins-dom0/image/pack.sh" "$work/overlay" "$work/overlay.cpio"
cat "$build/debian/dom0.cpio" "$build/debian/tools.cpio" "$build/debian/disk-tools.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
"$here/../../../plugins-dom0/image/make-disks.sh" "$work" "$build/debian/rootfs.ext4" >/dev/null

machine() { # MEMORY
    echo "qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m $1 -display none -serial stdio -monitor none -no-reboot -kernel $build/debian/vmlinuz"
}
drive_of() { # IMAGE
    echo "-drive if=none,id=$(basename "$1" .img),format=raw,file=$1,discard=unmap -device virtio-blk-pci,drive=$(basename "$1" .img)"
}
# shellcheck disable=SC2046 # lists of words
"$build/tests/drive" -l "$out/disks-native-tools.log" -p "disks, native: " -T 300 - -- $(machine 768M) $(drive_of "$work/disk0.img") $(drive_of "$work/disk1.img") \
    -append "console=ttyS0 quiet collet.run=/test/all.sh test.scripts=tools" -initrd "$work/dom0.cpio" <<'END' || failed=1
follow 240 /^checks: done/ the checks came to their end
send \n
exit 30 poweroff ends QEMU
END
# shellcheck disable=SC2046
"$build/tests/drive" -l "$out/disks-native-debian.log" -p "disks, native: " -T 300 - -- $(machine 256M) $(drive_of "$work/disk0.img") \
    -append "root=/dev/vda1 rw console=ttyS0 quiet systemd.hostname=native" -initrd "$build/debian/rootfs.initrd" <<'END' || failed=1
expect 120 /native login:/ Debian's own system starts from its partition
send root\n
expect 40 /root@native.*#/ login
send systemctl poweroff\n
exit 60 it powers off
END
exit $failed
