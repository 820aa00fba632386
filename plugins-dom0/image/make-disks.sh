#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The disks of `make run` and of the tests, raw image files, sparse:
#
#   make-disks.sh FOLDER ROOTFS
#
#   FOLDER/disk0.img   2.5 GiB, GPT: 1 "root1" and 2 "root2", each a Debian system; 3 "scratch", empty; 4 "volumes", for LVM, empty
#   FOLDER/disk1.img   1.3 GB, empty: what an HP 97560 held
#
# A file that is there is left alone: guests have written to it. No privileges are needed: partitions and file systems are written into the file.
set -eu

folder=$1
rootfs=$2
mkdir -p "$folder"
trap 'rm -f "$folder"/*.partial' EXIT

mib=1048576
root_mib=$(($(stat -c %s "$rootfs") / mib))
scratch_mib=256
volumes_mib=1024
image=$folder/disk0.img

put_root() { # at MiB: a copy of the root file system with an identity of its own
    cp --sparse=always "$rootfs" "$folder/root.partial"
    tune2fs -U random "$folder/root.partial" >/dev/null
    dd if="$folder/root.partial" of="$image.partial" bs=$mib seek="$1" conv=notrunc,sparse status=none
    rm "$folder/root.partial"
}
if [ ! -e "$image" ]; then
    echo "  DISK    $image"
    truncate -s $(((2 * root_mib + scratch_mib + volumes_mib + 2) * mib)) "$image.partial"
    printf '%s\n' 'label: gpt' 'unit: sectors' "start=$((mib / 512)), size=${root_mib}MiB, name=root1" "size=${root_mib}MiB, name=root2" "size=${scratch_mib}MiB, name=scratch" \
        "size=${volumes_mib}MiB, name=volumes, type=E6D6D379-F507-44C2-A23C-238F2A3DF928" | PATH=$PATH:/usr/sbin:/sbin sfdisk -q "$image.partial"
    put_root 1
    put_root $((1 + root_mib))
    mv "$image.partial" "$image"
fi
if [ ! -e "$folder/disk1.img" ]; then
    echo "  DISK    $folder/disk1.img"
    # 1962 cylinders of 19 heads and 72 sectors
    truncate -s $((1962 * 19 * 72 * 512)) "$folder/disk1.img"
fi
