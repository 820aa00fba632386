# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0: colletd is killed during I/O and in the middle of a handshake, guests are destroyed under load: nothing is lost or left over.
. /test/disks-lib.sh

# verify GUEST DEVICE SECONDS MORE-WORDS: fio writes and verifies what it wrote; begins in the background.
verify() { echo "fio --name=v --filename=/dev/$2 --rw=randwrite --bsrange=4k-64k --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_backlog=64 --runtime=$3 --time_based --thread --size=${size:-32M} $4 >/tmp/fio.out 2>&1"; }
daemon_dies() { kill -9 "$(pidof colletd)"; sleep "${1:-1}"; timeout 30 colletd --daemon; }

disk_guest t "[vbd one]" "backing = part:disk0p3" "device = xvda" "[vbd two]" "backing = disk:disk1:300000+131072" "device = xvdb"
check "a guest with two disks" bring_up t
check "its disk works" guest_begin t "$(verify t xvda 14)"
sleep 2
check "kill -9 colletd during I/O; it starts again" daemon_dies 2
check "and again" daemon_dies 1
check "no request was lost or wrong" guest_end t 60
check "the taken-up disks are known" sh -c 'collet vbd list t >/tmp/vbds; cat /tmp/vbds; [ "$(grep -c -i connected /tmp/vbds)" = 2 ]'
check "Domain0's own disk works" sh -c "dd if=$d0 of=/dev/null bs=1M count=8 iflag=direct"
interrupted() { # DELAY: kill it that long after an addition has begun; then the addition is there, or can be made
    (timeout 20 collet vbd add t late disk:disk1:600000+8192 --device xvdh >/dev/null 2>&1 &)
    sleep "$1"
    daemon_dies 0 || return 1
    c vbd list t | grep -q late || vbd_add t late disk:disk1:600000+8192 --device xvdh || return 1
    within 20 guest_can t 10 '[ "$(cat /sys/block/xvdh/size)" = 8192 ] && dd if=/dev/xvdh of=/dev/null bs=1M count=2 iflag=direct' || { c vbd list t; return 1; }
    vbd_del t late && within 20 guest_can t 10 '[ ! -e /sys/block/xvdh ]'
}
for delay in 0 0.05 0.1 0.2 0.4; do
    check "kill -9 colletd $delay s into a handshake" interrupted $delay
done
check "its disks still work" guest t 60 "$(verify t xvda 3)"

free_then=$(memory_free)
check "load on both disks" guest_begin t "$(verify t xvda 60) & $(verify t xvdb 60)"
sleep 4
check "destroyed under load" c destroy t
check "it is gone" within 20 gone t
memory_back() { now=$(memory_free); echo "$free_then, then $now"; [ "$now" -gt $((free_then + (100 << 20))) ]; }
check "its memory is back" within 20 memory_back
check "its disks are free for another" bring_up t
check "and work" guest t 60 "$(verify t xvda 3)"
crash_reads() { guest_begin t "$(verify t xvda 60) & sleep 2; echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger" && within 30 gone t; }
check "a guest that crashes with I/O in flight is gone" crash_reads
round() { # create, load, destroy
    disk_guest "$1" "[vbd one]" "backing = $2" "device = xvda"
    bring_up "$1" && guest_begin "$1" "$(verify "$1" xvda 60)" && sleep 1 && c destroy "$1"
}
check "and again, destroyed under load" round t part:disk0p3
check "no disk has failed" sh -c 'collet disk list --json | jq -e "[.disks[].resets] | add == 0"'
