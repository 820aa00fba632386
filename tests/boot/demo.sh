#!/bin/sh
# SPDX-License-Identifier: MIT
# `make demo`: the whole machine once, without hands: boots, makes guests, swaps schedulers, loads a plugin, powers off; tests/boot/domains/demo-guest.sh is what runs in Domain0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/plain.sh"
build=${BUILD:-build}
out=$build/tests
log=$out/demo.log
started=$(date +%s)
rm -rf "$out/demo" && mkdir -p "$out/demo/test"
cp "$here/domains/lib.sh" "$here/domains/demo-guest.sh" "$out/demo/test/"
"$here/../../plugins-dom0/image/pack.sh" "$out/demo" "$out/demo.cpio"
cat "$build/dom0.cpio" "$build/debian/jq.cpio" "$out/demo.cpio" >"$out/dom0-demo.cpio"
status=0
"$out/drive" -v -l "$log" -T "${LIMIT:-235}" - -- qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 2 -m 2G -display none -serial stdio \
    -monitor none -no-reboot -kernel "$build/collet" -append "console=com1 dom0_mem=640M ${COLLET_ARGS:-}" \
    -initrd "$build/debian/vmlinux console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=2 nopvspin quiet collet.run=/test/demo-guest.sh,$out/dom0-demo.cpio" \
    >"$out/demo.result" <<'END' || status=1
expect 90 /^xen$/ Domain0 runs on the hypervisor
expect 140 /quick: created/ four guests are there
expect 200 /bvt 1:2:4 again/ two live swaps of the scheduler
expect 200 /^demo: all as promised/ shares within 1%, latency lower with the plugin
expect 20 /collet.run: ended with status 0/ the demo came to its end
exit 30 poweroff ended QEMU
END
echo
echo "---- demo: $(($(date +%s) - started)) s ----"
tr -d '\r' <"$log" | sed -n '/^---- what was seen/,/^demo:/p' | plain
cat "$out/demo.result"
exit $status
