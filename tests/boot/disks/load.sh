# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0: mixed load of two guests over the same disks, verified, under every module, and with another module every few milliseconds; limits; a recording for the host.
. /test/disks-lib.sh

disk_guest a "[vbd one]" "backing = part:disk0p3" "device = xvda" "[vbd two]" "backing = disk:disk1:4096+262144" "device = xvdb"
disk_guest b "[vbd one]" "backing = lvm:vg/two" "device = xvda" "[vbd two]" "backing = disk:disk1:1000000+262144" "device = xvdb"
check "two guests that share two disks" bring_up a
check "the second" bring_up b
mixed() { # SECONDS: verified random writes of mixed sizes, trims between, random reads beside
    echo "fio --direct=1 --ioengine=libaio --thread --time_based --runtime=$1 --bsrange=4k-128k --size=24M --group_reporting --name=w0 --filename=/dev/xvda --rw=randwrite --iodepth=16 --verify=crc32c --verify_backlog=32 --fsync=64 --name=w1 --filename=/dev/xvdb --rw=randwrite --iodepth=8 --verify=crc32c --verify_backlog=32 --name=r --filename=/dev/xvdb --offset=64M --rw=randread --iodepth=4 >/tmp/fio.out 2>&1 || { grep -iE 'verify|error|err=' /tmp/fio.out | head -5; false; }"
}
both() { # SECONDS [command during that time]
    guest_begin a "$(mixed "$1")" && guest_begin b "$(mixed "$1")" || return 1
    seconds=$1
    shift
    [ $# = 0 ] || "$@" || { echo "failed: $*"; return 1; }
    guest_end a $((seconds + 60)) && guest_end b 60
}
for module in $(modules); do
    use() { c disk sched use disk0 "$1" && c disk sched use disk1 "$1"; }
    check "use $module" use "$module"
    check "verified load of two guests under $module" both 5
done
swaps() { /test/disk-swapper "$1" 3000 $(modules) >/tmp/swaps; status=$?; cat /tmp/swaps; return $status; }
check "with another module every 3 ms" both 12 swaps 12
sed 's/^/# /' /tmp/swaps 2>/dev/null
in_charge() { # no module was dropped for a fault, nothing is left in a queue
    c disk list --json | jq -e '[.disks[] | select((.dropped != null) or .queued != 0 or .issued != 0)] == []' || { c disk list --json | jq '.disks'; return 1; }
}
check "no module was found at fault, no request is left" in_charge

# ---- limits ----
rate() { # fio's words: prints requests a second, and KiB a second
    guest b 40 "fio --direct=1 --thread --time_based --runtime=4 --name=l --filename=/dev/xvdc --rw=randread --ioengine=libaio --iodepth=8 --minimal $1 | cut -d';' -f8,7" | grep -oE '[0-9]+;[0-9]+' | tail -n 1
}
check "a disk of 100 requests a second" vbd_add b slow disk:disk1:2000000+65536 --device xvdc --iops 100
limited() { got=$(rate --bs=4k); echo "KiB/s;requests/s: $got"; n=${got#*;}; [ "$n" -ge 80 ] && [ "$n" -le 112 ]; }
check "gives a hundred a second" limited
sed -n 's/^KiB/# KiB/p' /tmp/check.out
throttled() { c vbd show b/slow --json | jq -e '.vbd.throttled > 0'; }
check "and tells that it throttled" throttled
check "take it away" vbd_del b slow
check "a disk of 2 MiB a second" vbd_add b slow disk:disk1:2000000+65536 --device xvdc --bytes-per-s 2M
limited_bytes() { got=$(rate --bs=64k); echo "KiB/s;requests/s: $got"; n=${got%;*}; [ "$n" -ge 1600 ] && [ "$n" -le 2250 ]; }
check "gives two a second" limited_bytes
check "take it away" vbd_del b slow

# ---- a recording, for blk-sim on the host: it lies at the end of disk1, its size before it ----
at=2552832
swap_in_the_middle() { (sleep 2; c disk sched use disk1 deadline; sleep 2; c disk sched use disk1 elevator) & c disk record disk1 -w /tmp/load.rec --seconds 6; }
c disk sched use disk1 fair
check "collet disk record while both work" both 7 swap_in_the_middle
ls -l /tmp/load.rec
hand_over() { wc -c </tmp/load.rec | dd of=$d1 bs=512 seek=$at conv=sync oflag=direct 2>/dev/null && dd if=/tmp/load.rec of=$d1 bs=512 seek=$((at + 1)) conv=sync oflag=direct 2>/dev/null; }
check "the recording is put where the host finds it" hand_over
check "one guest shuts down with its disks" shut_down a
check "the other is destroyed" c destroy b
