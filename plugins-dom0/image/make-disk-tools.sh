#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A ramdisk archive for Domain0 with what looks after disks: LVM, dmsetup, fdisk and sfdisk, blkid, e2fsprogs, fio, the modules for ext4 and the device mapper; and
# /boot/disk.cpio, a ramdisk for guests that have disks: the quick guests' one (domu/) with Debian's blkfront, ext4 and fio.
#
#   make-disk-tools.sh OUTPUT CACHE DOMU-ARCHIVE      (DOMU-ARCHIVE: what make-domu.sh made, with boot/domu.cpio in it)
#
# No udev runs in Domain0: devtmpfs has the disks and partitions, LVM makes the nodes of its volumes itself (lvm.conf).
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cache=$2
domu=$(cd "$(dirname "$3")" && pwd)/$(basename "$3")
here=$(cd "$(dirname "$0")" && pwd)

stage=$(mktemp -d)
pool=$(mktemp -d)
trap 'rm -rf "$stage" "$pool"' EXIT
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"
file_systems="crc32c_generic libcrc32c crc16 mbcache jbd2 ext4"

kernel=$("$here/fetch-deb.sh" "$cache" "$(kernel_package linux-image-amd64)")
fio=$("$here/fetch-deb.sh" "$cache" fio)

# ---- the guests' part ----
root=$stage
stage=$pool/guest
pick_from "$cache" libc6 libaio1 libnuma1 zlib1g
"$here/make-fio.sh" "$stage" "$fio"
for name in xen-blkfront $file_systems; do
    module "$kernel" "$name"
done
needs_of_all
"$here/pack.sh" "$stage" "$pool/guest.cpio"
mkdir -p "$root/boot"
(cd "$pool" && cpio -i --quiet --to-stdout boot/domu.cpio <"$domu" | cat - "$pool/guest.cpio") >"$root/boot/disk.cpio"

# ---- Domain0's ----
stage=$root
pick_from "$cache" lvm2 dmsetup fdisk util-linux e2fsprogs libaio1 libblkid1 libc6 libcap2 libcom-err2 libcrypt1 libdevmapper-event1.02.1 libdevmapper1.02.1 libedit2 \
    libbsd0 libmd0 libext2fs2 libfdisk1 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libmount1 libncursesw6 libnuma1 libpcre2-8-0 libreadline8 libselinux1 libsmartcols1 libss2 \
    libsystemd0 libtinfo6 libudev1 libuuid1 libzstd1 zlib1g
"$here/make-fio.sh" "$stage" "$fio"
program sbin/lvm
for name in pvcreate pvs pvremove vgcreate vgs vgchange vgremove vgscan lvcreate lvs lvremove lvextend lvresize lvchange lvdisplay vgdisplay pvdisplay; do
    ln -s lvm "$stage/sbin/$name"
done
for name in sbin/dmsetup sbin/fdisk sbin/sfdisk sbin/blkid sbin/blockdev bin/lsblk sbin/e2fsck sbin/mke2fs sbin/tune2fs sbin/dumpe2fs sbin/debugfs; do
    program "$name"
done
ln -s mke2fs "$stage/sbin/mkfs.ext4"
ln -s e2fsck "$stage/sbin/fsck.ext4"
mkdir -p "$stage/etc/lvm" "$stage/run"
cat >"$stage/etc/lvm/lvm.conf" <<'END'
# No udev here: LVM looks for devices itself and makes the nodes of its volumes.
devices { obtain_device_list_from_udev = 0 use_devicesfile = 0 external_device_info_source = "none" }
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 1 monitoring = 0 }
backup { backup = 0 archive = 0 }
global { event_activation = 0 use_lvmpolld = 0 }
END
program etc/mke2fs.conf
for name in $file_systems dm-mod virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    module "$kernel" "$name"
done
needs_of_all
"$here/pack.sh" "$stage" "$output"
