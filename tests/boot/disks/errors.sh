# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0, on a machine whose disk2 fails: reads of sector 204800 and writes of sector 206848 end with an error. Two guests have neighbouring pieces of it.
. /test/disks-lib.sh

# bad: sectors 104800 to 304799; fine: those behind, and before
disk_guest bad "[vbd d]" "backing = disk:disk2:104800+200000" "device = xvda"
disk_guest fine "[vbd d]" "backing = disk:disk2:304800+90000" "device = xvda" "[vbd e]" "backing = disk:disk2:2048+90000" "device = xvdb"
check "two guests on one disk that fails in places" bring_up bad
check "the other" bring_up fine
check "where it does not fail it works" guest bad 30 'dd if=/dev/zero of=/dev/xvda bs=1M count=8 oflag=direct 2>/dev/null'
check "load on the other" guest_begin fine 'fio --name=v --filename=/dev/xvda --rw=randwrite --bs=4k --size=16M --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_backlog=64 --runtime=10 --time_based --thread >/tmp/fio.out 2>&1'
check "a read of the bad sector: an error" refused 1 'Input/output|I/O error' guest bad 40 'dd if=/dev/xvda of=/dev/null bs=4k skip=12500 count=1 iflag=direct'
check "a write of the other: an error" refused 1 'Input/output|I/O error' guest bad 40 'dd if=/dev/zero of=/dev/xvda bs=4k seek=12756 count=1 oflag=direct'
check "a large read across it: an error" refused 1 'Input/output|I/O error' guest bad 40 'dd if=/dev/xvda of=/dev/null bs=1M skip=48 count=2 iflag=direct'
check "behind it all is well" guest bad 30 'dd if=/dev/xvda of=/dev/null bs=1M skip=60 count=8 iflag=direct 2>/dev/null'
check "the other guest has noticed nothing" guest_end fine 60
check "its kernel neither" sh -c "! grep -E 'I/O error' /var/log/collet/console/guest-fine.log"
errors_of() { c vbd show "$1" --json | member errors; }
counted() { echo "bad: $(errors_of bad/d), fine: $(errors_of fine/d)"; [ "$(errors_of bad/d)" -gt 0 ] && [ "$(errors_of fine/d)" = 0 ]; }
check "errors are counted for the one, not for the other" counted
check "the disk has not failed as a whole" sh -c 'collet disk list --json | jq -e ".disks[2].errors > 0"'
check "both end" sh -c 'collet destroy bad && collet destroy fine'
