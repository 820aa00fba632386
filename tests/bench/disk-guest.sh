#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the system that is measured (collet.run=/bench/guest.sh): brings up its disk, runs disk.c on it. Words of the command line: bench.rows=a,b  bench.symbols: leave the kernel's symbols on the disk at the end.
rows=
symbols=
# shellcheck disable=SC2013 # words are wanted
for word in $(cat /proc/cmdline); do
    case $word in
    bench.rows=*) rows=$(echo "${word#*=}" | tr ',' ' ') ;;
    bench.symbols) symbols=1 ;;
    esac
done
[ ! -e /sys/hypervisor/type ] || front=xen-blkfront
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk $front; do
    [ ! -e "/bench/modules/$module.ko" ] || insmod "/bench/modules/$module.ko"
done
device=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    for name in vda xvda; do
        [ ! -b "/dev/$name" ] || device=/dev/$name
    done
    [ -z "$device" ] || break
    sleep 1
done
if [ -z "$device" ]; then
    echo "disk: this system has no disk"
else
    # shellcheck disable=SC2086 # a list of words
    /bench/disk "$device" $rows
fi
[ -z "$symbols" ] || { cat /proc/kallsyms; printf 'end of symbols\n'; dd if=/dev/zero bs=4096 count=1 2>/dev/null; } | dd of="$device" bs=64k 2>/dev/null
sync
