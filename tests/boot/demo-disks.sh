#!/bin/sh
# SPDX-License-Identifier: MIT
# The second half of `make demo`: two Debian systems share a disk that seeks; tests/boot/disks/demo-disks.sh is what runs in Domain0. Leaves build/demo/disk-latency.{svg,png,dat,txt}.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/plain.sh"
build=${BUILD:-build}
out=$build/tests
log=$out/demo-disks.log
work=$out/demo-disks
demo=$build/demo
started=$(date +%s)
rm -rf "$work" && mkdir -p "$work/overlay/test" "$demo"
cp "$here/domains/lib.sh" "$here/disks/demo-disks.sh" "$work/overlay/test/"
cp "$here/disks/lib.sh" "$work/overlay/test/disks-lib.sh"
"$here/../../plugins-dom0/image/pack.sh" "$work/overlay" "$work/overlay.cpio"
cat "$build/dom0-disks.cpio" "$build/debian/jq.cpio" "$work/overlay.cpio" >"$work/dom0.cpio"
"$here/../../plugins-dom0/image/make-disks.sh" "$work" "$build/debian/rootfs.ext4"
disk_of() { echo "-drive if=none,id=$1,format=raw,file=$work/$1.img,cache=writeback,aio=threads,discard=unmap -device virtio-blk-pci,drive=$1,serial=$1,num-queues=2"; }
status=0
# shellcheck disable=SC2046 # lists of words
"$out/drive" -v -l "$log" -T "${LIMIT:-600}" - -- qemu-system-x86_64 -accel tcg -cpu max,-smap -smp 2 -m 2G -display none -serial stdio \
    -monitor none -no-reboot $(disk_of disk0) $(disk_of disk1) -kernel "$build/collet" -append "console=com1 dom0_mem=640M ${COLLET_ARGS:-}" \
    -initrd "$build/debian/vmlinux console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=2 nopvspin quiet collet.run=/test/demo-disks.sh,$work/dom0.cpio" \
    >"$out/demo-disks.result" <<'END' || status=1
expect 420 /person: .*login:/ a Debian system came to its login from its own root disk
expect 300 /hammer: .*login:/ and another
expect 300 /^latency fair/ four ordering modules, one after the other, under load
expect 150 /^demo of disks: all as promised/ the other guest waits less under fair than under fifo
expect 60 /collet.run: ended with status 0/ the demo came to its end
exit 30 poweroff ended QEMU
END
rm -f "$work"/*.img "$work"/*.cpio
echo
echo "---- demo of disks: $(($(date +%s) - started)) s ----"
tr -d '\r' <"$log" | sed -n '/^---- what was seen: disks/,/^demo of disks:/p' | plain
tr -d '\r' <"$log" | sed -n '/^---- what was seen: disks/,/^demo of disks:/p' | uncolour >"$demo/disk-latency.txt"
tr -d '\r' <"$log" | awk '/^latency / { print $2, $3 / 1000, $4 / 1000, $5 / 1000, $6 }' >"$demo/disk-latency.dat"
if [ -s "$demo/disk-latency.dat" ] && command -v gnuplot >/dev/null; then
    cat >"$demo/disk-latency.gp" <<'END'
set title "Latency of a guest's reads while another keeps 32 requests in the disk (HP 97560)"
set style data histograms
set style fill solid 0.8 border -1
set logscale y
set ylabel "milliseconds (log scale)"
set xlabel "ordering module"
set grid ytics
set key top right
plot file using 2:xtic(1) title "half within", file using 3 title "90% within", file using 4 title "99% within"
END
    for kind in svg png; do
        gnuplot -e "file='$demo/disk-latency.dat'" -e "set terminal $kind size 900,540" -e "set output '$demo/disk-latency.$kind'" "$demo/disk-latency.gp" 2>/dev/null || rm -f "$demo/disk-latency.$kind"
    done
    echo "The picture: $demo/disk-latency.svg"
fi
cat "$out/demo-disks.result"
exit $status
