# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, on its own view of disk1: `collet disk` and `collet vbd` with real disks: modules, parameters, statistics, recordings to files that are full, left alone or interrupted.
. /test/disks-lib.sh

vbd=$(c vbd list --json | jq -r '.vbds[] | select(.raw and .device == "xvdb") | .domain + "/" + .name')
check "Domain0's own disk is a VBD" says 'connected' c vbd show "$vbd"
check "a name that is nearly right" refused 3 'did you mean disk1\?' c disk show disk11
check "a module that is nearly right" refused 3 'did you mean fair\?' c disk sched use disk1 faire
check "fair orders disk1" says 'disk1: fair' c disk sched use disk1 fair
check "its parameters have ranges" refused 1 'from 1 to' c disk set disk1 weight=0 --vbd "$vbd"
check "a value for one VBD" c disk set disk1 weight=300 --vbd "$vbd"
check "is in force" says 'weight=300' c disk get disk1 weight --vbd "$vbd"
check "another value for the disk, in milliseconds" c disk set disk1 slice=20ms
check "after another module" c disk sched use disk1 fifo
check "and back" c disk sched use disk1 fair
check "both values are there again" says 'weight=300' c disk get disk1 --vbd "$vbd"
check "of the disk, too" says 'slice_ns=20ms' c disk get disk1

fio --name=load --filename="$d1" --offset=900M --size=64M --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=8 --thread --eta=never --runtime=300 --time_based --output=/tmp/fio.out &
load=$!
busy() { c disk stats disk1 --interval 1 --count 1 --json | jq -e '.interval_ns > 0 and .disks[0].requests_per_s.read > 1 and (.vbds[0].latency[] | select(.op == "read" and .phase == "device") | .p50_ns > 0 and .count > 0)'; }
check "statistics of a second, by phase" within 30 busy
check "and for people" says 'read +device +[0-9]+ +<' c disk stats disk1
check "the modelled drive" says 'hp97560' c disk model disk1 hp97560
modelled() { c disk stats disk1 --interval 2 --count 1 --json | jq -e '.disks[0].model == "hp97560" and (.vbds[0].latency[] | select(.op == "read" and .phase == "device") | .p50_ns >= 4000000)'; }
check "takes milliseconds for a request" modelled
check "and goes again" says 'disk1: none' c disk model disk1 none

whole() { # FILE: a header, and so many records as it says
    [ $((($(wc -c <"$1") - 64) % 64)) = 0 ] && [ "$(dd if="$1" bs=8 skip=2 count=1 2>/dev/null | od -An -t u8 | tr -d ' ')" = $((($(wc -c <"$1") - 64) / 64)) ]
}
check "a recording of 200 requests" c disk record disk1 -w /tmp/a.rec -n 200
check "is whole" whole /tmp/a.rec
mkdir -p /tmp/small && mount -t tmpfs -o size=64k tmpfs /tmp/small
check "a recording to a disk that is full" refused 1 'No space left on device; the recording has ended' c disk record disk1 -w /tmp/small/b.rec --seconds 25
check "leaves what can be read" whole /tmp/small/b.rec
umount /tmp/small
check "and no recording" sh -c 'collet disk list --json | jq -e ".disks[1].recorded | not"'
collet disk record disk1 -w /tmp/c.rec 2>/dev/null &
recorder=$!
check "one at a time" within 20 refused 1 'recorded already' c disk record disk1 -w /tmp/d.rec -n 1
kill -9 $recorder
check "one whose reader was killed" refused 1 'disk1 --stop' c disk record disk1 -w /tmp/d.rec -n 1
check "can be ended" c disk record disk1 --stop
check "then there is room for the next" c disk record disk1 -w /tmp/d.rec -n 20
interrupted() {
    collet disk record disk1 -w /tmp/e.rec &
    recorder=$!
    sleep 4
    kill -INT $recorder
    wait $recorder && whole /tmp/e.rec
}
check "an interrupt ends one cleanly" interrupted
piped() { [ "$(collet disk record disk1 -w - -n 1000 | head -c 640 | wc -c)" = 640 ]; }
check "a reader that goes away ends one, too" piped
check "records that are lost are told" says 'records were lost' c disk record disk1 -w /tmp/f.rec --room 2 --seconds 2
kill $load
wait $load 2>/dev/null
check "what happened is on record" says 'disk-used .*disk1: fair' c watch --all --timeout 0.1
check "elevator again" c disk sched use disk1 elevator
