#!/bin/sh
# SPDX-License-Identifier: MIT
# `make demo`: the whole machine once, without hands: boot, look about, work a little, power off; then a summary.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
mkdir -p "$build/tests"
log=$build/tests/demo.log
started=$(date +%s)
rm -rf "$build/tests/demo" && mkdir -p "$build/tests/demo/test"
cat >"$build/tests/demo/test/demo" <<'END'
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; sh -c "$*"; }
say cat /sys/hypervisor/type
say nproc
say uname -a
say 'ls /dev/xen; cat /proc/xen/capabilities'
say 'head -n 3 /proc/meminfo'
say 'time sh -c "i=0; while [ \$i -lt 300 ]; do /bin/true; i=\$((i + 1)); done"'
say 'for c in $(seq $(nproc)); do (head -c 20m /dev/zero | sha256sum) & done; wait'
say 'dmesg | grep -i -E "xen|smp:" | head -n 12'
END
"$here/../../plugins-dom0/image/pack.sh" "$build/tests/demo" "$build/tests/demo.cpio"
cat "$build/debian/dom0.cpio" "$build/tests/demo.cpio" >"$build/tests/dom0-demo.cpio"
status=0
"$build/tests/drive" -v -l "$log" -T 115 - -- qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 2 -m 1G -display none -serial stdio \
    -monitor none -no-reboot -kernel "$build/collet" -append "console=com1 ${COLLET_ARGS:-}" \
    -initrd "$build/debian/vmlinux console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=2 nopvspin quiet collet.run=/test/demo,$build/tests/dom0-demo.cpio" \
    >"$build/tests/demo.result" <<'END' || status=1
expect 90 /^xen$/ Domain0 runs on the hypervisor
expect 20 /^2$/ it has two CPUs
expect 60 /collet.run: ended with status 0/ the workload came to its end
exit 30 poweroff ended QEMU
END
echo
echo "---- demo: $(($(date +%s) - started)) s ----"
tr -d '\r' <"$log" | grep -a '^(collet)' | grep -a -i -E 'sched|CPU' | head -n 6 || true
cat "$build/tests/demo.result"
exit $status
