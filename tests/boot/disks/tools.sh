# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, also without a hypervisor: it sees its disks and partitions, and Debian's programs for disks work on them. Leaves the volume group vg with volumes one and two, 256 MiB each.
. /test/disks-lib.sh

check "Domain0 sees both disks" sh -c "[ -b $d0 ] && [ -b $d1 ]"
check "of the right sizes" sh -c "[ \$(blockdev --getsize64 $d0) -gt 2600000000 ] && [ \$(blockdev --getsize64 $d1) = 1374216192 ]"
check "partitions of disk0" sh -c "[ -b ${d0}1 ] && [ -b ${d0}2 ] && [ -b ${d0}3 ] && [ -b ${d0}4 ]"
check "fdisk reads its table" says "Linux LVM" /sbin/fdisk -l "$d0"
check "sfdisk --verify" says 'No errors detected' sfdisk --verify "$d0"
check "blkid knows the root file system" says 'LABEL="root".*TYPE="ext4"' blkid "${d0}1"
check "e2fsck of root1" e2fsck -fn "${d0}1"
mkdir -p /mnt/a
mount_looks() { mount -o ro "${d0}2" /mnt/a && cat /mnt/a/etc/os-release && grep -q bookworm /mnt/a/etc/os-release && umount /mnt/a; }
check "Domain0 looks into root2" mount_looks
volumes() {
    pvcreate -q "${d0}4" && vgcreate -q vg "${d0}4" && lvcreate -q -y -Wn -L 256M -n one vg && lvcreate -q -y -Wn -L 128M -n two vg && lvcreate -q -y -Wn -L 64M -n between vg \
        && lvextend -q -L 256M vg/two && lvs && dmsetup table
}
check "LVM: a volume group, volumes, one of two parts" volumes
check "its volumes have nodes" sh -c '[ -b /dev/vg/one ] && [ -b /dev/vg/two ]'
check "two is in two parts" sh -c '[ "$(dmsetup table vg-two | wc -l)" = 2 ]'
file_system() {
    mkfs.ext4 -q -F /dev/vg/one && mount /dev/vg/one /mnt/a && dd if=/dev/urandom of=/mnt/a/x bs=1M count=20 2>/dev/null && sum=$(sha256sum </mnt/a/x) && umount /mnt/a \
        && mount /dev/vg/one /mnt/a && [ "$(sha256sum </mnt/a/x)" = "$sum" ] && umount /mnt/a && e2fsck -fn /dev/vg/one
}
check "a file system on a volume" file_system
check "fio: random writes, verified" timeout 120 fio --name=v --filename="${d0}3" --size=16M --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --thread --output=/tmp/fio.out
check "fio: random reads of disk1" timeout 60 fio --name=r --filename="$d1" --runtime=3 --time_based --rw=randread --bs=4k --ioengine=libaio --iodepth=8 --direct=1 --thread --output=/tmp/fio.out
sed -n 's/^ *read: /# disk1, depth 8, from Domain0: /p' /tmp/fio.out
discard_zeroes() {
    dd if=/dev/urandom of="${d0}3" bs=1M count=4 seek=100 oflag=direct 2>/dev/null && blkdiscard -o $((100 << 20)) -l $((4 << 20)) "${d0}3"
}
[ "$(cat "/sys/class/block/$(basename "$d0")/queue/discard_max_bytes")" = 0 ] || check "discard" discard_zeroes
