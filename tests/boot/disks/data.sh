# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after tools.sh: what a guest writes is what Domain0 reads there, for whole extents, partitions and volumes; read-only; the end; hotplug.
. /test/disks-lib.sh

three=$(part_start $d0 3)
disk_guest w "[vbd part]" "backing = part:disk0p3" "device = xvda" "[vbd volume]" "backing = lvm:vg/two" "device = xvdb" "[vbd raw]" "backing = disk:disk1:2048+65536" "device = xvdc" \
    "[vbd old]" "backing = /dev/vg/one" "mode = r" "device = xvdd"
check "a guest with four disks" bring_up w
sizes() { guest w 10 'cat /sys/block/xvda/size /sys/block/xvdb/size /sys/block/xvdc/size /sys/block/xvdd/size /sys/block/xvdd/ro' | tr '\n' ' '; }
check "it sees them in their sizes" says "^$(part_sectors $d0 3) 524288 65536 524288 1 " sizes
check "volumes are listed" says 'lvm:vg/one' c vbd volumes
check "vbd show" says 'xvda' c vbd show w/part

# same GUEST-DEVICE MIB DEVICE SECTOR: the guest writes 4 MiB there; these sectors of Domain0's have them.
same() {
    mine=$(guest w 30 "dd if=/dev/urandom of=/tmp/x bs=1M count=4 2>/dev/null; dd if=/tmp/x of=/dev/$1 bs=1M seek=$2 oflag=direct 2>/dev/null && sha256sum </tmp/x" | grep -oE '[0-9a-f]{64}')
    theirs=$(sum_of "$3" "$4" 8192)
    echo "guest: $mine Domain0: $theirs"
    [ -n "$mine" ] && [ "$mine" = "$theirs" ] && return 0
    # Which half is whose?
    for half in 0 1; do
        echo "half $half: guest's file $(guest w 20 "dd if=/tmp/x bs=1M skip=$((half * 2)) count=2 2>/dev/null | sha256sum"), its disk $(guest w 20 "dd if=/dev/$1 bs=1M skip=$(($2 + half * 2)) count=2 iflag=direct 2>/dev/null | sha256sum"), Domain0 $(sum_of "$3" $(($4 + half * 4096)) 4096)"
    done
    return 1
}
check "written to a partition, read from the whole disk" same xvda 7 $d0 $((three + 7 * 2048))
check "its last sectors" same xvda $(($(part_sectors $d0 3) / 2048 - 4)) $d0 $((three + $(part_sectors $d0 3) - 8192))
check "written to an extent, read from the disk" same xvdc 5 $d1 $((2048 + 5 * 2048))
check "its last sectors" same xvdc 28 $d1 $((2048 + 28 * 2048))
check "written to a volume, across its two parts" same xvdb 126 /dev/vg/two $((126 * 2048))
segment() { # MiB in the volume: where on the disk, by the device mapper
    dmsetup table vg-two | awk -v want=$(($1 * 2048)) -v base="$(part_start $d0 4)" '$1 <= want && want < $1 + $2 { print base + $5 + want - $1 }'
}
check "and at the place that the device mapper says" same xvdb 200 $d0 "$(segment 200)"
read_back() {
    dd if=/dev/urandom of=/tmp/y bs=1M count=2 2>/dev/null
    dd if=/tmp/y of=$d1 bs=512 seek=$((2048 + 16384)) oflag=direct 2>/dev/null || return 1
    theirs=$(guest w 20 'dd if=/dev/xvdc bs=1M skip=8 count=2 iflag=direct 2>/dev/null | sha256sum')
    echo "$theirs"
    [ "${theirs%% *}" = "$(sha256sum </tmp/y | cut -d' ' -f1)" ]
}
check "written by Domain0, read by the guest" read_back
check "read-only: a write is refused" refused 1 'Read-only|read-only|not permitted' guest w 10 'dd if=/tmp/x of=/dev/xvdd bs=4k count=1 oflag=direct'
check "read-only: its file system can be read" says '^0$' guest w 20 'mkdir -p /m; mount -t ext4 -o ro,noload /dev/xvdd /m && [ -s /m/x ]; echo $?; umount /m'
check "past the end is refused" guest w 10 '! dd if=/tmp/x of=/dev/xvdc bs=512 seek=65536 count=1 oflag=direct'
check "and what is behind it is as it was" sh -c "[ \"\$(dd if=$d1 bs=512 skip=$((2048 + 65536)) count=64 iflag=direct 2>/dev/null | tr -d '\\0' | wc -c)\" = 0 ]"
check "flushes reach the disk" says '^0$' guest w 20 'dd if=/tmp/x of=/dev/xvda bs=1M seek=1 conv=fsync 2>/dev/null; echo $?'
flushed() { c vbd show w/part --json | jq -e '.vbd.requests | .flush > 0'; }
check "they are counted" flushed

# ---- sharing ----
check "sectors that somebody holds are refused" refused 1 'w/volume|w|volume' vbd_add w again lvm:vg/two
check "also as a piece of the whole disk" refused 1 'part|w' vbd_add w again disk:disk0:$((three + 100))+4096
check "reading what another writes is refused, too" refused 1 '.' vbd_add w again lvm:vg/two --mode r
check "reading what others only read, both shared, is not" vbd_add w again disk:disk1:70000+4096 --mode r --shared
check "twice" vbd_add w again2 disk:disk1:70000+4096 --mode r --shared
check "take them away" sh -c 'collet vbd del w again && collet vbd del w again2'

# ---- while it runs ----
check "vbd add while it runs" vbd_add w plug disk:disk1:100000+20480 --device xvdf
check "the guest sees it" within 15 guest_can w 10 '[ "$(cat /sys/block/xvdf/size)" = 20480 ]'
check "and writes to it" same xvdf 2 $d1 $((100000 + 4096))
check "a name twice is refused" refused 1 'plug' vbd_add w plug disk:disk1:200000+2048
check "a device twice is refused" refused 1 'xvdf' vbd_add w other disk:disk1:200000+2048 --device xvdf
check "what is not there is refused" refused 3 'disk7' vbd_add w other disk:disk7
check "beyond the end is refused" refused 1 '.' vbd_add w other disk:disk1:2684000+2048
check "vbd del" vbd_del w plug
check "the guest has it no more" within 15 guest_can w 10 '[ ! -e /sys/block/xvdf ]'
check "its sectors are free" vbd_add w plug disk:disk1:100000+20480 --device xvdf
check "ten times" sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do timeout 20 collet vbd del w plug && timeout 20 collet vbd add w plug disk:disk1:100000+20480 --device xvdf || exit 1; done'
check "the guest sees the last one" within 15 guest_can w 10 '[ "$(cat /sys/block/xvdf/size)" = 20480 ]'
check "and writes to it" same xvdf 1 $d1 $((100000 + 2048))

# ---- mounted ----
mkfs.ext4 -q -F /dev/vg/between
check "a volume with a file system" vbd_add w files lvm:vg/between --device xvdg
check "is mounted in the guest" within 15 guest_can w 10 'mount -t ext4 /dev/xvdg /m && echo kept >/m/a && sync'
vbd_del w files --force >/tmp/del.out 2>&1
check "taken away with force while it is mounted: it is gone" sh -c "! collet vbd list w | grep -q files"
check "the guest goes on" says 'alive' guest w 30 'umount -l /m; echo alive'
check "its other disks work" same xvda 9 $d0 $((three + 9 * 2048))
check "what was synced is there" says 'kept' sh -c 'e2fsck -fy /dev/vg/between >/dev/null 2>&1; debugfs -R "cat /a" /dev/vg/between 2>/dev/null'
check "destroy it" c destroy w
check "no VBD of it is left" sh -c '[ -z "$(collet vbd list --json | jq -r ".vbds[] | select(.domid != 0) | .name")" ]'
