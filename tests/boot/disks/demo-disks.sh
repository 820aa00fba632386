# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# Runs in Domain0 for `make demo`: two Debian systems on their own root disks, and a disk that they share, modelled as an HP 97560. One hammers it; how long the other's requests take under each
# ordering module. Lines "latency MODULE P50 P90 P99 REQUESTS HAMMER-REQUESTS" (microseconds; requests a second) are for the picture.
. /test/disks-lib.sh

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; sh -c "$*"; }
part() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
failed=0
wrong() { echo "WRONG: $*"; failed=1; }
seconds=10

part "Two unmodified Debian systems, each with a root file system on its own virtual disk"
say collet disk list
say collet vbd volumes
debian_guest person part:disk0p1 "[vbd data]" "backing = disk:disk1:0+600000" "device = xvdb"
debian_guest hammer part:disk0p2 "[vbd data]" "backing = disk:disk1:2000000+600000" "device = xvdb"
say cat /tmp/person.ini
for name in person hammer; do
    limit=200 c create "/tmp/$name.ini" >/tmp/created 2>&1 || wrong "create $name: $(cat /tmp/created)"
done
for name in person hammer; do
    patience=300 login_comes $name && log_in $name || wrong "$name comes to its login"
    echo "$name: $(console_of $name | tr -d '\r' | grep -a 'login:' | head -n 1)"
done
say collet list
say collet vbd list

part "disk1 as an HP 97560 of 1991: it seeks, it turns; hammer keeps 32 requests in it, person reads now and then"
say collet disk model disk1 hp97560
load() { echo "fio --name=$1 --filename=/dev/xvdb --direct=1 --ioengine=libaio --bs=4k --time_based --thread --minimal $2"; }
reads_of() { c vbd show "$1" --json | jq '.vbd.requests | .read + .write'; }
guest_begin hammer "($(load hammer "--rw=randrw --rwmixread=70 --iodepth=32 --runtime=600") >/tmp/hammer.out 2>&1 &)"
sleep 3
for module in fifo elevator deadline fair; do
    say collet disk sched use disk1 $module
    sleep 2
    before=$(reads_of hammer/data)
    guest person $((seconds + 40)) "$(load person "--rw=randread --iodepth=1 --thinktime=20000 --runtime=$seconds") | tr ';' '\n' | grep -E '^(50|90|99)\.000000%=' | head -3" >/tmp/person.out || wrong "person's load under $module"
    after=$(reads_of hammer/data)
    set -- $(grep -oE '%=[0-9]+' /tmp/person.out | tr -d '%=')
    [ $# = 3 ] || { wrong "no percentiles under $module"; cat /tmp/person.out; continue; }
    echo "latency $module $1 $2 $3 $(((after - before) / (seconds + 1)))"
    echo "$module $1 $2 $3 $(((after - before) / (seconds + 1)))" >>/tmp/table
done
type_into hammer 'pkill fio'
part "Both shut down"
say timeout 100 collet shutdown --wait person hammer || wrong "shutdown"
say collet disk stats disk1
printf '\n---- what was seen: disks ----\n'
printf '  %-10s %28s %24s\n' "" "person waits, ms" "hammer gets"
printf '  %-10s %8s %9s %9s %24s\n' "module" "half" "90%" "99%" "requests/s"
awk '{ printf "  %-10s %8.1f %9.1f %9.1f %24d\n", $1, $2 / 1000, $3 / 1000, $4 / 1000, $5; p[$1] = $3 } END { exit !(NR == 4 && p["fair"] < p["fifo"]) }' /tmp/table || wrong "fair is kinder than fifo"
echo "demo of disks: $([ $failed = 0 ] && echo 'all as promised' || echo 'NOT as promised')"
exit $failed
