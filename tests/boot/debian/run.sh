#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boots Debian's kernel as Domain0 in QEMU and looks at what it does. Result lines: "ok - ..." and "not ok - ...".
#
#   run.sh [BOOT...]     the boots are the functions boot_<name> below; none named: all of the short ones
#
# Environment: BUILD (build), IMAGE (the hypervisor, build/collet), HYPERVISOR=xen to run the same tests on Debian's Xen as the peer, SLOW a factor for
# all time limits. Consoles are kept in build/tests/<boot>.log. Exit status 1 when any result is not ok.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
image=${IMAGE:-$build/collet}
hypervisor=${HYPERVISOR:-collet}
slow=${SLOW:-1}
out=$build/tests
failed=0
mkdir -p "$out"

# Files for Domain0 beyond its ramdisk: the checks.
rm -rf "$out/overlay" && mkdir -p "$out/overlay/test"
cp "$here/guest-checks.sh" "$out/overlay/test/checks"
"$here/../../../plugins-dom0/image/pack.sh" "$out/overlay" "$out/overlay.cpio"
cat "$build/debian/dom0.cpio" "$out/overlay.cpio" >"$out/dom0.cpio"

with_stress() {
    # shellcheck disable=SC3013 # dash, busybox and bash all have -nt
    [ -e "$out/dom0-stress.cpio" ] && [ "$out/dom0-stress.cpio" -nt "$out/dom0.cpio" ] && return
    cat "$out/dom0.cpio" "$build/debian/stress.cpio" >"$out/dom0-stress.cpio"
}

kernel_line="console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nopvspin"

# drive NAME OPTIONS CPUS MEMORY RAMDISK KERNEL-WORDS, the script on standard input
drive() {
    name=$1
    options=$2
    cpus=$3
    memory=$4
    ramdisk=$5
    words="$kernel_line nr_cpus=$cpus $6"
    if [ "$hypervisor" = xen ]; then
        multiboot=$build/bench/xen
        options="console=com1 com1=115200,8n1 dom0_mem=$((${memory%M} * 6 / 10))M dom0_max_vcpus=$cpus"
    else
        multiboot=$image
        options="console=com1 $options"
    fi
    set -- -kernel "$multiboot" -append "$options" -initrd "$build/debian/vmlinux $words,$ramdisk"
    [ -z "${ISO:-}" ] || set -- -cdrom "$ISO"
    "$build/tests/drive" -l "$out/$name.log" -p "$name: " -T "$((${LIMIT:-400} * slow))" - -- \
        qemu-system-x86_64 -accel tcg -cpu max,-smap -smp "$cpus" -m "$memory" -display none -serial stdio -monitor none \
        ${NO_REBOOT--no-reboot} "$@" || failed=1
}

# What no console may show. Kernel complaints that Debian's kernel has on Xen as well are allowed by name.
quiet_console() {
    cat <<'END'
forbid /WARNING: |BUG: |Oops|Call Trace|Kernel panic|rcu.*stall|soft lockup|blocked for more than|general protection|segfault at|unchecked MSR|Bad page|bad pte|traps: / no complaint of the kernel
END
    [ "$hypervisor" = xen ] || cat <<'END'
forbid /^\(collet\) (warning|error|panic)/ no complaint of the hypervisor
END
}

audit() {
    [ "$hypervisor" = xen ] || cat <<END
send \x01\x01\x01
sleep 0.5
send a
expect $((30 * slow)) /\(collet\) audit: .* 0 differences/ frame accounting is exact
send \x01\x01\x01
sleep 0.5
END
}

# checks NAME SCHED CPUS STRESS-SECONDS: one boot of the test script
checks() {
    stress=$4
    ramdisk=$out/dom0.cpio
    memory=768M
    [ "$stress" = 0 ] || { with_stress; ramdisk=$out/dom0-stress.cpio; memory=1024M; }
    LIMIT=$((300 + stress * 4)) drive "$1" "sched=$2" "$3" "$memory" "$ramdisk" "collet.run=/test/checks test.cpus=$3 test.stress=$stress" <<END
expect $((150 * slow)) /Run .init as init process/ Domain0 starts its first process
follow $(((120 + stress * 3) * slow)) /^checks: done/ the checks came to their end
$(audit)
send \n
$(power_off)
$(quiet_console)
$([ "$hypervisor" = xen ] || echo "forbid /replaced|falling back|fallback/ the scheduler module was kept")
END
}

# Debian's Xen with acpi=off in Domain0 halts rather than powers off; Collet must end QEMU.
power_off() {
    if [ "$hypervisor" = xen ]; then
        echo "expect $((30 * slow)) /reboot: (Power down|System halted)/ powers off"
    else
        echo "exit $((30 * slow)) poweroff ends QEMU"
    fi
}

boot_bvt1() { checks bvt1 bvt 1 0; }
boot_bvt2() { checks bvt2 bvt 2 20; }
boot_bvt4() { checks bvt4 bvt 4 10; }
boot_rr1() { checks rr1 rr 1 0; }
boot_rr2() { checks rr2 rr 2 20; }
boot_rr4() { checks rr4 rr 4 10; }

# The long ones: five minutes of load.
boot_long2() { checks long2 bvt 2 300; }
boot_long4() { checks long4 bvt 4 300; }
boot_longrr() { checks longrr rr 2 300; }

# A person at the shell: prompt, job control, interrupt, and the way out.
boot_shell() {
    NO_REBOOT=-no-reboot drive shell "" 2 768M "$build/debian/dom0.cpio" "quiet" <<END
expect $((150 * slow)) /^dom0:[^ ]*# / the shell's prompt
show /^Domain0: /
send cat /sys/hypervisor/type\n
expect 20 /^xen\$/ the type is xen
send nproc\n
expect 20 /^2\$/ nproc says 2
send sleep 1000\n
sleep 2
send \x03
expect 20 /^dom0:[^ ]*# / Ctrl-C ends a program
send sleep 1000 &\n
wait 20 /dom0:[^ ]*# /
send jobs\n
expect 20 /Running +sleep 1000/ job control works
send kill %1\n
send echo a\$((20 + 1))b\n
expect 20 /^a21b/ the shell computes
send for i in 1 2 3 4 5 6 7 8; do dmesg | tail -n 50; done; echo flood''ed\n
expect 60 /^flooded/ much output arrives
send poweroff\n
$(power_off)
$(quiet_console)
END
}

boot_reboot() {
    NO_REBOOT='' drive reboot "" 2 768M "$build/debian/dom0.cpio" "quiet" <<END
expect $((150 * slow)) /^dom0:[^ ]*# / the shell's prompt
send reboot\n
expect $((150 * slow)) /^dom0:[^ ]*# / the shell again, after reboot
send reboot -f\n
expect $((150 * slow)) /^dom0:[^ ]*# / the shell a third time, after reboot -f
send poweroff -f\n
$(power_off)
$([ "$hypervisor" = xen ] || echo "count 3 /^\(collet\) Collet / the hypervisor started three times")
$(quiet_console)
END
}

# GRUB loads the hypervisor by its multiboot2 header. It leaves file names out of module strings, so the first word is a placeholder, as for Xen.
boot_grub() {
    [ "$hypervisor" = collet ] || return 0
    rm -rf "$out/iso" && mkdir -p "$out/iso/boot/grub"
    cp "$image" "$out/iso/boot/collet"
    cp "$build/debian/vmlinux" "$build/debian/dom0.cpio" "$out/iso/boot/"
    cat >"$out/iso/boot/grub/grub.cfg" <<END
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry Collet {
    multiboot2 /boot/collet console=com1 sched=bvt
    module2 /boot/vmlinux placeholder $kernel_line nr_cpus=2 quiet
    module2 /boot/dom0.cpio placeholder
}
END
    if ! grub-mkrescue -o "$out/collet.iso" "$out/iso" >"$out/grub-mkrescue.log" 2>&1; then
        echo "not ok - grub: grub-mkrescue made an image"
        failed=1
        return 0
    fi
    ISO=$out/collet.iso drive grub "" 2 768M "" "" <<END
expect $((200 * slow)) /^dom0:[^ ]*# / the shell's prompt
send nproc\n
expect 20 /^2\$/ nproc says 2
send poweroff\n
$(power_off)
$(quiet_console)
END
    rm -rf "$out/iso" "$out/collet.iso"
}

# A Domain0 image that is none: one clear line, no crash. (The machine stays up or halts: we stop it.)
bad_image() { # name, file, pattern
    "$build/tests/drive" -l "$out/bad-$1.log" -p "bad image ($1): " -T $((60 * slow)) - -- \
        qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 1 -m "${4:-256M}" -display none -serial stdio -monitor none -no-reboot \
        -kernel "$image" -append "console=com1" -initrd "$2" <<END || failed=1
expect $((30 * slow)) /^\(collet\) .*$3/ is refused by name
sleep 1
forbid /#[A-Z]+ |registers|stack trace|assert/ no crash
END
}
boot_bad() {
    [ "$hypervisor" = collet ] || return 0
    head -c 100000 /dev/zero | tr '\0' 'x' >"$out/not-elf"
    head -c 3000000 "$build/debian/vmlinux" >"$out/truncated"
    cp /bin/true "$out/no-notes"
    bad_image not-elf "$out/not-elf" '([Dd]omain ?0|dom0|ELF|image)'
    bad_image truncated "$out/truncated" '([Dd]omain ?0|dom0|ELF|image|truncated)'
    bad_image no-notes "$out/no-notes" '([Dd]omain ?0|dom0|note|image)'
    bad_image too-large "$build/debian/vmlinux" '([Dd]omain ?0|dom0|memory|large)' 96M
}

[ $# != 0 ] || set -- shell bvt1 bvt2 bvt4 rr1 rr2 rr4 reboot grub bad
for boot; do
    echo "# boot: $boot"
    started=$(date +%s)
    "boot_$boot"
    echo "# boot: $boot took $(($(date +%s) - started)) s"
done
exit $failed
