#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boots the whole: Domain0 with its toolstack, and guests under it. Result lines: "ok - ..." and "not ok - ...".
#
#   run.sh [BOOT...]     boots: basic commands lifecycle smp daemons plugins (each runs the script of that name here in Domain0), all (one boot for all of these); scale-small (20 tiny
#                        domains and 4 Debian kernels), scale (100 and 20: set MEM=12G). None named: all scale-small
#
# Environment: BUILD (build), IMAGE (the hypervisor, build/collet), MEM (of the machine, 2G), CPUS (2), SLOW a factor for all time limits. Consoles are kept in
# build/tests/domains-<boot>.log. Each boot ends with an audit: when Domain0 has powered off, every frame of the machine is where it belongs.
# Exit status 1 when any result is not ok.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
image=${IMAGE:-$build/collet}
slow=${SLOW:-1}
cpus=${CPUS:-2}
out=$build/tests
failed=0
mkdir -p "$out"

rm -rf "$out/domains-overlay" && mkdir -p "$out/domains-overlay/test"
cp "$here"/*.sh "$out/domains-overlay/test/"
[ ! -d "$build/tests/plugins" ] || cp -r "$build/tests/plugins" "$out/domains-overlay/test/plugins"
"$here/../../../plugins-dom0/image/pack.sh" "$out/domains-overlay" "$out/domains-overlay.cpio"
cat "$build/dom0.cpio" "$build/debian/jq.cpio" "$out/domains-overlay.cpio" >"$out/dom0-domains.cpio"
kernel_line="console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nopvspin quiet"

# Shares are measured by a clock that counts instructions (8 ns each): then they are the scheduler's doing alone, however busy the host is.
counted="-icount shift=3,sleep=off"

# boot NAME SCRIPT+SCRIPT... SECONDS [WORDS]
boot() {
    "$build/tests/drive" -l "$out/domains-$1.log" -p "domains: " -T "$((($3 + 120) * slow))" - -- \
        qemu-system-x86_64 -accel tcg ${CLOCK:-} -cpu max,-smap -smp "$cpus" -m "${MEM:-2G}" -display none -serial stdio -monitor none -no-reboot \
        -kernel "$image" -append "console=com1 audit dom0_mem=${DOM0_MEM:-640M} ${COLLET_ARGS:-}" \
        -initrd "$build/debian/vmlinux $kernel_line nr_cpus=$cpus collet.run=/test/all.sh test.scripts=$2 ${4:-},$out/dom0-domains.cpio" <<END || failed=1
follow $(($3 * slow)) /^checks: done/ the checks came to their end
send \n
exit $((60 * slow)) poweroff ends QEMU
forbid /WARNING: |BUG: |Oops|Call Trace|Kernel panic|rcu.*stall|soft lockup|blocked for more than|general protection|segfault at|Bad page|bad pte|traps: / no complaint of Domain0's kernel
forbid /^\(collet\) (error|panic)/ no complaint of the hypervisor
count 1 /^\(collet\) audit: .* 0 differences/ every frame is accounted for
END
}

[ $# != 0 ] || set -- all scale-small
for name; do
    echo "# boot: domains $name"
    started=$(date +%s)
    case $name in
    scale-small) CLOCK=$counted boot scale-small scale-guest 600 "test.tiny=20 test.debian=2" ;;
    scale) DOM0_MEM=1G MEM=${MEM:-12G} CLOCK=$counted boot scale scale-guest 1500 "test.tiny=100 test.debian=20" ;;
    all) boot all basic+commands+lifecycle+smp+plugins+daemons 1400 ;;
    *) boot "$name" "$name" 400 ;;
    esac
    echo "# boot: domains $name took $(($(date +%s) - started)) s"
done
exit $failed
