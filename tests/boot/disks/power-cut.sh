#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The power fails: no flush that was acknowledged may be lost. A tiny kernel (tests/boot/kernels/blk-cut.c) writes numbered blocks with flushes and barriers and says how far it is; QEMU is killed
# (SIGKILL) at a random moment; another boot looks at the disk. One line "ok power-cut" or "not ok power-cut: why", then "N passed, N failed". After a failure: build/kernels/log/cut-*.log.
#
#   power-cut.sh [--cuts N] [--seed N]
#
# QEMU's own cache=writeback loses nothing when QEMU dies: what it has written is in the host's page cache, which lives on. Its blklogwrites driver logs a write when it is asked for, not when it is
# answered, so a flush that did not wait for the writes before it would look sound. Hence a disk of our own, cut-disk.c, behind QEMU's NBD driver: it loses what it may lose.
set -u
cd "$(dirname "$0")/../../.." || exit 2

cuts=50
seed=$RANDOM
while [ $# -gt 0 ]; do
    case $1 in
    --cuts) cuts=$2; shift ;;
    --seed) seed=$2; shift ;;
    *) sed -n '4,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

build=${BUILD:-build}
log=$build/kernels/log
work=$(mktemp -d "${TMPDIR:-/tmp}/power-cut.XXXXXX")
machine=
server=
cleanup() {
    [ -n "$machine" ] && kill -9 "$machine" 2> /dev/null
    [ -n "$server" ] && kill "$server" 2> /dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    mkdir -p "$log" && cp "$work"/cut-*.log "$log/" 2> /dev/null
    echo "not ok power-cut: $*"
    echo "0 passed, 1 failed"
    exit 1
}

${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -o "$work/cut-disk" tests/boot/disks/cut-disk.c || exit 2
truncate -s 8M "$work/image"
RANDOM=$seed
echo "# seed $seed"

# boot LOG NUMBER KERNEL-WORDS: a disk and a machine, running.
boot() {
    : > "$1" # not the former one's words
    "$work/cut-disk" "$work/image" "$work/socket" "$2" > "$work/disk.log" &
    server=$!
    while [ ! -S "$work/socket" ]; do sleep 0.01; done
    qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 1 -m 256M -nographic -no-reboot -kernel "$build/collet" -append "console=com1 noreboot=exit" \
        -initrd "$build/kernels/blk-cut.elf $3" \
        -blockdev "driver=nbd,node-name=d0,server.type=unix,server.path=$work/socket" -device virtio-blk-pci,drive=d0 < /dev/null > "$1" 2>&1 &
    machine=$!
}

acknowledged() { # in whole lines: the last one may have been cut, too
    sed -n 's/^\[t\] acknowledged \([0-9]*\)\r$/\1/p' "$1" | tail -n 1
}

gone() { # until both are
    wait "$machine" 2> /dev/null
    machine=
    wait "$server"
    server=
}

total=0
lost_sectors=0
for ((cut = 1; cut <= cuts; cut++)); do
    run=$work/cut-run.log
    boot "$run" $((seed + cut)) "seed=$cut"
    for ((i = 0; i < 300; i++)); do # until it writes; then a while
        grep -q 'acknowledged 2' "$run" && break
        kill -0 "$machine" 2> /dev/null || fail "cut $cut: the machine went by itself"
        sleep 0.05
    done
    [ $i -lt 300 ] || fail "cut $cut: nothing was acknowledged"
    sleep "0.$(printf %03d $((RANDOM % 700)))"
    kill -9 "$machine"
    gone
    far=$(acknowledged "$run")
    lost=$(sed -n 's/.*sectors-lost \([0-9]*\).*/\1/p' "$work/disk.log")
    boot "$work/cut-look.log" 1 "seed=$cut verify=$far quiet=1"
    for ((i = 0; i < 600; i++)); do
        kill -0 "$machine" 2> /dev/null || break
        sleep 0.05
    done
    kill -9 "$machine" 2> /dev/null
    gone
    grep -q "\[t\] verified $far, " "$work/cut-look.log" && ! grep -q '\[t\] FAIL' "$work/cut-look.log" ||
        fail "cut $cut of seed $seed, after flush $far: $(grep -m1 '\[t\] FAIL' "$work/cut-look.log" | tr -d '\r')"
    total=$((total + far))
    lost_sectors=$((lost_sectors + lost))
done
[ $lost_sectors -gt 0 ] || fail "the disk has never lost anything: nothing was tested"
echo "ok power-cut ($cuts cuts, $total flushes acknowledged, $lost_sectors unflushed sectors lost)"
echo "1 passed, 0 failed"
