# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after tools.sh: what colletd lets a guest have and what not, how its disks come and go, a front that lies, a reboot, and xenstored's end.
. /test/disks-lib.sh

front() { echo "/local/domain/$(domid_of v)/device/vbd/$1"; }
state_of_disk() { collet vbd list v | grep -qE "^v/$1 .* $2 "; }

check "what there is to give" says 'lvm:vg/one +256.0 MiB' c vbd volumes
check "Domain0 holds the partition of the volume group" says 'part:disk0p4 .*Domain0' c vbd volumes
disk_guest v "[vbd root]" "backing = lvm:vg/oen"
check "a name that is nearly right, with its line" refused 1 'v.ini:9: backing = lvm:vg/oen: .*is lvm:vg/one meant' c create --dry-run /tmp/v.ini
disk_guest v "[vbd root]" "backing = disk:disk1:2700000+9"
check "beyond the end of the disk" refused 1 'beyond the end of disk1' c create --dry-run /tmp/v.ini
disk_guest v "[vbd root]" "backing = part:disk0p4"
check "a partition that LVM has" refused 1 'Domain0 uses it as /dev/xvda4' c create --dry-run /tmp/v.ini
mkdir -p /mnt/a
disk_guest v "[vbd root]" "backing = lvm:vg/two" "weight = 300" "[vbd rom]" "backing = part:disk0p3" "mode = r" "device = xvda"
mkfs.ext4 -q -F /dev/vg/two && mount /dev/vg/two /mnt/a
check "a volume that Domain0 has mounted" refused 1 'Domain0 uses it as' c create /tmp/v.ini
umount /mnt/a
c disk sched use disk0 fair >/dev/null
check "a guest with a volume in two pieces" bring_up v
check "its disks have the names that were asked for" says 'v/root .* xvdb' c vbd list v
check "of the right sizes" guest_can v 20 '[ "$(cat /sys/block/xvdb/size)" = 524288 ] && [ "$(cat /sys/block/xvda/ro)" = 1 ]'
check "with the weight of its definition" says 'weight=300' c disk get disk0 weight --vbd v/root
check "what it has cannot be mounted here" refused 255 'busy' mount /dev/vg/two /mnt/a
check "nor removed" refused 5 'in use' lvremove -y vg/two
check "nor given away again" refused 1 'belongs to disk root of domain' c vbd add v more lvm:vg/two
check "two pieces are one disk" guest v 60 'mkdir -p /mnt && mount -t ext4 /dev/xvdb /mnt && dd if=/dev/urandom of=/mnt/x bs=1M count=150 2>/dev/null && sha256sum </mnt/x >/mnt/sum && umount /mnt'
check "another disk" says 'xvdc in the guest' c vbd add v more disk:disk1:4096+40960 --iops 200
check "is seen" within 20 guest_can v 10 '[ -b /dev/xvdc ] || mknod /dev/xvdc b 202 32; [ "$(cat /sys/block/xvdc/size)" = 40960 ]'
check "and goes" c vbd del v more
check "also for the guest" within 20 guest_can v 10 '[ ! -e /sys/block/xvdc ]'
c vbd add v more disk:disk1:4096+40960 >/dev/null
check "again" within 20 state_of_disk more connected
for nonsense in 0 7 99 44444444444444444444 nonsense; do
    xenstore-write "$(front 51744)/state" "$nonsense"
done
check "a front that lies changes nothing" says 'v/more .* connected' c vbd list v
check "it does not let go" refused 6 'its front is' c vbd del v more
check "but force does it" c vbd del v more --force
console_mark v
check "reboot" c reboot v
check "it has the same disks again" within 90 state_of_disk root connected
check "its shell" within 90 spoke v 'domU: hello v'
check "and the same data" within 60 guest v 20 'mkdir -p /mnt && mount -t ext4 /dev/xvdb /mnt && [ "$(sha256sum </mnt/x)" = "$(cat /mnt/sum)" ] && umount /mnt'
kill -9 "$(pidof xenstored)"
sleep 6
check "xenstored ends: the disks go on" guest v 30 'dd if=/dev/xvdb of=/dev/null bs=1M count=20 iflag=direct'
check "those of Domain0 too" dd if="$d1" of=/dev/null bs=1M count=8 iflag=direct
check "a guest that hears nothing is not asked" refused 1 'does not hear' c vbd del v root
check "its end" c destroy v
check "leaves no nodes" sh -c '[ "$(xenstore-list /local/domain/0/collet-vbd)" = 0 ]'
check "and nobody has the volume" e2fsck -fp /dev/vg/two
bring_up v
check "one that was made after it is whole" within 30 state_of_disk root connected
check "the last" c destroy v
c disk sched use disk0 elevator >/dev/null
