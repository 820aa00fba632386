#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Disks of guests: Domain0, unmodified Debian systems on their own root disks, load, trouble. Result lines: "ok - ..." and "not ok - ...".
#
#   run.sh [BOOT...]     tools roots data commands volumes load trouble: one boot each (tools comes first in all of them), all: one boot for these; errors: a machine whose third disk
#                        fails; native: the images without a hypervisor. None named: all errors
#
# Environment: as domains/run.sh. Each boot has fresh disks under build/tests/disks, which are looked at afterwards. Consoles: build/tests/disks-<boot>.log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
image=${IMAGE:-$build/collet}
slow=${SLOW:-1}
cpus=${CPUS:-2}
out=$build/tests
work=$out/disks
failed=0
mkdir -p "$out"

rm -rf "$work" && mkdir -p "$work/overlay/test"
cp "$here"/*.sh "$here/../domains/all.sh" "$work/overlay/test/"
cp "$here/lib.sh" "$work/overlay/test/disks-lib.sh"
cp "$here/../domains/lib.sh" "$work/overlay/test/lib.sh"
cp "$out/disk-swapper" "$work/overlay/test/"
"$here/../../../plugins-dom0/image/pack.sh" "$work/overlay" "$work/overlay.cpio"
cat "$build/dom0-disks.cpio" "$build/debian/jq.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
kernel_line="console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nopvspin quiet"

result() { # STATUS NAME
    if [ "$1" = 0 ]; then echo "ok - disks: $2"; else echo "not ok - disks: $2"; failed=1; fi
}
drive_of() { # NAME
    echo "-drive if=none,id=$1,format=raw,file=$work/$1.img,cache=writeback,aio=threads,discard=unmap -device virtio-blk-pci,drive=$1,serial=$1,num-queues=$cpus"
}
# A third disk, with sectors that cannot be read or written; boot() makes its file.
disk2() {
    echo "-blockdev driver=blkdebug,node-name=disk2,discard=unmap,image.driver=file,image.filename=$work/disk2.img,inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=204800,inject-error.0.errno=5,inject-error.0.once=off,inject-error.1.event=none,inject-error.1.iotype=write,inject-error.1.sector=206848,inject-error.1.errno=5,inject-error.1.once=off -device virtio-blk-pci,drive=disk2,serial=disk2,werror=report,rerror=report"
}

# boot NAME SCRIPT+SCRIPT... SECONDS [QEMU-WORDS]
boot() {
    rm -f "$work"/*.img
    "$here/../../../plugins-dom0/image/make-disks.sh" "$work" "$build/debian/rootfs.ext4" >/dev/null
    [ -z "${4:-}" ] || truncate -s 256M "$work/disk2.img"
    # shellcheck disable=SC2046,SC2086 # lists of words
    "$build/tests/drive" -l "$out/disks-$1.log" -p "disks: " -T "$((($3 + 120) * slow))" - -- \
        qemu-system-x86_64 -accel tcg -cpu max,-smap -smp "$cpus" -m "${MEM:-2G}" -display none -serial stdio -monitor none -no-reboot \
        $(drive_of disk0) $(drive_of disk1) ${4:-} -kernel "$image" -append "console=com1 audit dom0_mem=${DOM0_MEM:-640M} ${COLLET_ARGS:-}" \
        -initrd "$build/debian/vmlinux $kernel_line nr_cpus=$cpus collet.run=/test/all.sh test.scripts=$2,$work/dom0.cpio" <<END || failed=1
follow $(($3 * slow)) /^checks: done/ the checks came to their end
send \n
exit $((60 * slow)) poweroff ends QEMU
allow /I.O error, dev (xvda|xvdb|xvdc)|Buffer I.O error/
forbid /WARNING: |BUG: |Oops|Call Trace|Kernel panic|rcu.*stall|soft lockup|blocked for more than|general protection|segfault at|Bad page|bad pte|traps: / no complaint of Domain0's kernel
forbid /^\(collet\) (error|panic)/ no complaint of the hypervisor
count 1 /^\(collet\) audit: .* 0 differences/ every frame is accounted for
END
}
# The root file systems as the host sees them when all is over: Debian's own e2fsck, by their places in the image.
check_roots() {
    PATH=$PATH:/usr/sbin:/sbin
    for part in 1 2; do
        sector=$(sfdisk -J "$work/disk0.img" | awk -v want="disk0.img$part\"" 'index($0, want) { if (match($0, /"start": *[0-9]+/)) { print substr($0, RSTART + 8, RLENGTH - 8) + 0; exit } found = 1 } found && /"start"/ { gsub(/[^0-9]/, ""); print; exit }')
        status=0
        e2fsck -fn "$work/disk0.img?offset=$((sector * 512))" >"$work/fsck.out" 2>&1 || status=$?
        [ $status = 0 ] || sed 's/^/#   /' "$work/fsck.out" | tail -n 5
        result $status "on the host: root file system $part is clean"
    done
}
# load.sh has left a recording at the end of disk1: replayed by the same module files, every decision must be the recorded one.
verify_recording() {
    bytes=$(dd if="$work/disk1.img" bs=512 skip=2552832 count=1 status=none | tr -d '\0')
    status=1
    case $bytes in
    '' | *[!0-9\ ]*) echo "#   no recording on disk1" ;;
    *)
        dd if="$work/disk1.img" bs=512 skip=2552833 count=$(((bytes + 511) / 512)) status=none | head -c "$bytes" >"$out/disk1.rec"
        status=0
        "$build/blk-sim" --verify "$out/disk1.rec" >"$work/verify.out" 2>&1 || status=$?
        sed 's/^/# /' "$work/verify.out" | head -n 5
        ;;
    esac
    result $status "on the host: replay decides as the hypervisor did"
}

[ $# != 0 ] || set -- all errors
for name; do
    echo "# boot: disks $name"
    started=$(date +%s)
    case $name in
    all)
        boot all tools+debian-roots+data+commands+volumes+load+trouble 2400
        check_roots
        verify_recording
        ;;
    roots)
        boot roots tools+debian-roots 900
        check_roots
        ;;
    load)
        boot load tools+load 700
        verify_recording
        ;;
    tools) boot tools tools 200 ;;
    data | commands | trouble | volumes) boot "$name" "tools+$name" 700 ;;
    errors) boot errors errors 200 "$(disk2)" ;;
    native) "$here/native.sh" || failed=1 ;;
    *) echo "run.sh: no boot $name" >&2 && exit 2 ;;
    esac
    echo "# boot: disks $name took $(($(date +%s) - started)) s"
done
exit $failed
