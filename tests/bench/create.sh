#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Count what domains cost to make (create.c), from `collet create` to the guest's first user instruction and for many tiny domains, and print a table.
#
#   create.sh             environment: BUILD (build), LIMIT seconds, PARTS="first tick spin"
#
# Leaves build/bench/create.log and create.md. One emulated processor under -icount: no figure depends on the host.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
out=$build/bench
pack=$here/../../plugins-dom0/image/pack.sh
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$out" "$stage/guest/dev" "$stage/dom0/bench"

gcc -nostdlib -static -o "$stage/guest/init" "$here/create-init.S"
"$pack" "$stage/guest" "$stage/dom0/bench/guest.cpio"
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -I"$here/../../sdk/include" -o "$stage/dom0/bench/create" "$here/create.c" "$build/dom0/lib/libcollet.a" -llzma -lzstd -llz4 -lz
cat >"$stage/dom0/bench/bench.ini" <<END
[domain]
name = bench
kernel = /boot/debian.vmlinuz
ramdisk = /bench/guest.cpio
cmdline = console=hvc0 pci=off quiet
memory = 128M
vcpus = 1
END
[ -n "${PARTS:-}" ] || PARTS="first tick spin"
cat >"$stage/dom0/bench/run" <<END
while ! collet daemon >/dev/null 2>&1; do sleep 1; done
sleep 2
wanted() { case " $PARTS " in *" \$1 "*) ;; *) echo "create: done"; false ;; esac; }
wanted first && /bench/create first /bench/bench.ini
wanted tick && /bench/create many tick /boot/tiny/spin.elf 'role=tick period_us=100000 work_us=20' 0 1 10 25 50 100
wanted spin && /bench/create many spin /boot/tiny/spin.elf report=0 1 10 25 50 100
END
"$pack" "$stage/dom0" "$stage/bench.cpio"
cat "$build/dom0.cpio" "$stage/bench.cpio" >"$out/create.cpio"
cat >"$stage/script" <<END
expect ${LIMIT:-900} /^create: done/ the creation of one domain was measured
expect ${LIMIT:-900} /^create: done/ many domains that mostly sleep were measured
expect ${LIMIT:-900} /^create: done/ many domains that spin were measured
exit 60 Domain0 powers off
forbid /Oops|BUG:|Call Trace|Kernel panic/ no fault of a kernel
END
"$build/tests/drive" -l "$out/create.log" "$stage/script" -- qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -cpu max,-smap -smp 1 -m 4G \
    -display none -serial stdio -monitor none -no-reboot -kernel "${COLLET:-$build/collet}" -append "console=com1 dom0_mem=768M" \
    -initrd "$build/debian/vmlinux console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=1 nopvspin quiet collet.run=/bench/run,$out/create.cpio"
tr -d '\r' <"$out/create.log" | awk '
    BEGIN { print "| what | instructions (bytes, ns) |"; print "|---|--:|" }
    $1 == "create" { v = $3 + 0; if (v >= 1000000) v = sprintf("%.1f M", v / 1000000); printf "| %s | %s |\n", $2, v }' >"$out/create.md"
cat "$out/create.md"
