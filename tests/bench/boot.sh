#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boot the benchmark as the first process of Debian's kernel, in an emulator whose clock counts instructions.
#
#   boot.sh native|xen|collet LOG [WORD...]      the words go to the kernel's command line: bench.rows=a,b  bench.loop=a
#
# From the environment: BUILD (build), LIMIT seconds, EXTRA_QEMU, COLLET_OPTIONS, and XEN (an unpacked xen image).
# The emulated machine is one processor: then no count depends on the host.
set -eu

system=$1
log=$2
shift 2
build=${BUILD:-build}
words="acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=1 nopvspin nokaslr quiet $*"
# In a module's string QEMU takes a comma for the end; two stand for one.
module_words=$(printf '%s' "$words" | sed 's/,/,,/g')
memory=1G
dom0_memory=600M

case $system in
native)
    set -- -kernel "$build/debian/vmlinux" -append "console=ttyS0 mem=$dom0_memory $words" -initrd "$build/bench/bench.cpio"
    ;;
xen)
    set -- -kernel "$build/bench/xen" -append "console=com1 com1=115200,8n1 dom0_mem=$dom0_memory noreboot=1" \
        -initrd "$build/debian/vmlinux console=hvc0 $module_words,$build/bench/bench.cpio"
    ;;
collet)
    set -- -kernel "${COLLET:-$build/collet}" -append "console=com1 dom0_mem=$dom0_memory ${COLLET_OPTIONS:-}" \
        -initrd "$build/debian/vmlinux console=hvc0 $module_words,$build/bench/bench.cpio"
    ;;
*)
    echo "boot.sh: native, xen or collet" >&2
    exit 2
    ;;
esac
mkdir -p "$(dirname "$log")"
script=$log.script
{
    # The program's last line; in profiles the loop's first, and then as long as somebody counts.
    if [ -n "${LOOP_SECONDS:-}" ]; then
        echo "expect ${LIMIT:-300} /^loop / $system: the row runs"
        echo "sleep $LOOP_SECONDS"
    else
        echo "expect ${LIMIT:-900} /^bench: done/ $system: the benchmark ran to its end"
        echo "forbid /Oops|BUG:|Call Trace|Kernel panic/ $system: no fault of the kernel"
    fi
} >"$script"
# shellcheck disable=SC2086 # a list of words
exec "$build/tests/drive" -l "$log" "$script" -- qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -cpu max,-smap -smp 1 -m "$memory" \
    -display none -serial stdio -monitor none -no-reboot ${EXTRA_QEMU:-} "$@"
