#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Count the instructions of a disk request: natively, in a guest of Debian's Xen with xen-blkback, in a guest of Collet, and in Collet's Domain0; print one table.
#
#   disk.sh [ROW...]       environment: SYSTEMS="native xen collet collet-dom0", BUILD=build, LIMIT seconds
#
# Leaves build/bench/disk/<system>.rows (row, instructions a request, of which user, kernel, hypervisor), <system>.profile/ (disk-profile.sh), disk.md.
# The machine has one processor and one virtio disk whose contents are in memory. QEMU counts executed instructions itself (count-plugin.c), so waiting costs nothing; its clock counts them too, and goes on with real time while the
# processor is idle.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
build=${BUILD:-build}
debian=$build/debian
packages=$debian/packages
systems=${SYSTEMS:-native xen collet collet-dom0}
out=$build/bench/disk
pack=$top/plugins-dom0/image/pack.sh
fetch=$top/plugins-dom0/image/fetch-deb.sh
words="bench=1 nokaslr quiet nopvspin"
[ $# = 0 ] || words="$words bench.rows=$(echo "$*" | tr ' ' ',')"
[ -z "${SYMBOLS:-}" ] || words="$words bench.symbols"
# In a module's string QEMU takes a comma for the end; two stand for one.
module_words=$(echo "$words" | sed 's/,/,,/g')
mkdir -p "$out"
stage=$(mktemp -d)
image=$(mktemp -p /dev/shm collet-bench-disk.XXXXXX)
trap 'rm -rf "$stage" "$image"' EXIT
status=0

gcc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -o "$out/count-plugin.so" "$here/count-plugin.c"
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$out/disk" "$here/disk.c"

# ---- ramdisks: Domain0's base, the same for each system, and one archive of ours behind it ----

kernel=$packages/$(sed 's/^\([^ ]*\) .*/\1/' "$debian/version")
"$fetch" "$packages" libaio1 libnuma1 zlib1g libc6 xen-utils-4.17 xenstore-utils libxenmisc4.17 libxenstore4 libxencall1 libxenevtchn1 libxengnttab1 libxenforeignmemory1 libxentoolcore1 libxentoollog1 libxendevicemodel1 \
    libxenhypfs1 libyajl2 libuuid1 liblzma5 libzstd1 libgcc-s1 >"$stage/folders"
mkdir "$stage/pool"
while read -r folder; do
    for libraries in "$folder/lib/x86_64-linux-gnu" "$folder/usr/lib/x86_64-linux-gnu"; do
        [ ! -d "$libraries" ] || find "$libraries" -maxdepth 1 -name '*.so*' -exec cp -P {} "$stage/pool/" \;
    done
done <"$stage/folders"

from_package() { # path in a package, path in the archive
    mkdir -p "$(dirname "$archive/$2")"
    while read -r folder; do
        [ ! -e "$folder/$1" ] || { cp "$folder/$1" "$archive/$2"; libraries_of "$archive/$2"; return 0; }
    done <"$stage/folders"
    echo "disk.sh: no package has $1" >&2
    return 1
}
libraries_of() {
    for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        if [ -e "$archive/lib/x86_64-linux-gnu/$name" ] || [ -e "$archive/usr/lib/fio/$name" ]; then continue; fi
        cp -L "$stage/pool/$name" "$archive/lib/x86_64-linux-gnu/$name"
        libraries_of "$archive/lib/x86_64-linux-gnu/$name"
    done
}
begin_archive() {
    archive=$stage/$1
    mkdir -p "$archive/bench/modules" "$archive/lib/x86_64-linux-gnu" "$archive/lib64"
    ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$archive/lib64/"
    cp -L "$stage/pool/ld-linux-x86-64.so.2" "$archive/lib/x86_64-linux-gnu/"
    cp "$out/disk" "$archive/bench/disk"
    cp "$here/disk-guest.sh" "$archive/bench/guest.sh"
    for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk xen-blkfront xen-blkback xen-gntdev; do
        find "$kernel/lib/modules" -name "$module.ko" -exec cp {} "$archive/bench/modules/" \;
    done
    cp -L "$stage/pool/libgcc_s.so.1" "$archive/lib/x86_64-linux-gnu/"
    "$top/plugins-dom0/image/make-fio.sh" "$archive" "$("$fetch" "$packages" fio)"
    libraries_of "$archive/usr/lib/fio/fio"
}

begin_archive guest
"$pack" "$stage/guest" "$stage/guest.cpio"
cat "$debian/dom0.cpio" "$stage/guest.cpio" >"$out/guest.cpio"

begin_archive xen
cp "$out/guest.cpio" "$archive/bench/guest.cpio"
cp "$here/disk-xen.sh" "$archive/bench/xen.sh"
mkdir -p "$archive/boot"
cp "$debian/vmlinuz" "$archive/boot/vmlinuz"
for name in xl xen-init-dom0 xenstored xenconsoled xenconsole; do
    from_package usr/lib/xen-4.17/bin/$name usr/lib/xen-4.17/bin/$name
done
from_package usr/bin/xenstore usr/bin/xenstore
ln -s xenstore "$archive/usr/bin/xenstore-write"
"$pack" "$stage/xen" "$stage/xen.cpio"
cat "$debian/dom0.cpio" "$stage/xen.cpio" >"$out/xen.cpio"

begin_archive collet
cp "$out/guest.cpio" "$archive/bench/guest.cpio"
cp "$here/disk-collet.sh" "$archive/bench/collet.sh"
"$pack" "$stage/collet" "$stage/collet.cpio"
[ ! -e "$build/dom0.cpio" ] || cat "$build/dom0.cpio" "$stage/collet.cpio" >"$out/collet.cpio"
gzip -dc "$("$fetch" "$packages" xen-hypervisor-4.17-amd64)"/boot/xen-4.17-amd64.gz >"$out/xen"

# ---- one boot ----

boot() { # system
    system=$1
    case $system in
    native)
        set -- -kernel "$debian/vmlinux" -append "console=ttyS0 mem=600M $words collet.run=/bench/guest.sh" -initrd "$out/guest.cpio" ;;
    xen)
        set -- -kernel "$out/xen" -append "console=com1 com1=115200,8n1 dom0_mem=600M bootscrub=0 noreboot=1" -initrd "$debian/vmlinux console=hvc0 $module_words collet.run=/bench/xen.sh,$out/xen.cpio" ;;
    collet)
        set -- -kernel "${COLLET:-$build/collet}" -append "console=com1 dom0_mem=600M" -initrd "$debian/vmlinux console=hvc0 $module_words collet.run=/bench/collet.sh,$out/collet.cpio" ;;
    collet-dom0)
        set -- -kernel "${COLLET:-$build/collet}" -append "console=com1 dom0_mem=600M" -initrd "$debian/vmlinux console=hvc0 $module_words collet.run=/bench/guest.sh,$out/collet.cpio" ;;
    *)
        echo "disk.sh: no system $system" >&2
        exit 2
        ;;
    esac
    rm -f "$image" "$out/$system".count* "$out/$system.log"
    dd if=/dev/zero of="$image" bs=1M count=64 2>/dev/null
    {
        echo "expect ${LIMIT:-900} /disk: done/ $system: all requests were measured"
        echo "exit 120 $system: the machine ends"
        echo "forbid /Oops|BUG:|Call Trace|Kernel panic|I\/O error/ $system: no fault of a kernel"
    } >"$stage/script"
    # shellcheck disable=SC2086 # a list of words
    "$build/tests/drive" -l "$out/$system.log" "$stage/script" -- qemu-system-x86_64 -accel tcg -icount shift=0,sleep=on -cpu max,-smap -smp 1 -m 1G -display none -serial stdio -monitor none -no-reboot \
        -plugin "$out/count-plugin.so,out=$out/$system.count" -drive "file=$image,format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk ${EXTRA_QEMU:-} "$@"
}

# Pairs the program's lines with the counter's. The median batch counts; of fio's two runs the difference.
rows_of() { # system
    {
        tr -d '\r' <"$out/$1.log" | sed -n 's/.*batch \([a-z0-9-]*[/a-z]*\) \([0-9]*\)$/batch \1 \2/p'
        cat "$out/$1.count"
    } | awk '
        BEGIN { batches = 0 }
        function at_median(row, list, n, i, j, t) {
            n = split(list, v, " ")
            for (i = 2; i <= n; i++) for (j = i; j > 1 && all[v[j]] / requests[v[j]] < all[v[j - 1]] / requests[v[j - 1]]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
            return v[int((n + 1) / 2)]
        }
        $1 == "batch" { name[batches] = $2; requests[batches++] = $3 }
        $1 == "count" { all[$2] = $3; user[$2] = $4; kernel[$2] = $5; hypervisor[$2] = $6; counts = $2 + 1 }
        END {
            for (i = 0; i < counts; i++) {
                row = name[i]
                if (sub(/\/second$/, "", row)) {
                    n = requests[i] - requests[i - 1]
                    order[++rows] = row
                    line[row] = sprintf("%s %.0f %.0f %.0f %.0f %d\n", row, (all[i] - all[i - 1]) / n, (user[i] - user[i - 1]) / n, (kernel[i] - kernel[i - 1]) / n, (hypervisor[i] - hypervisor[i - 1]) / n, i)
                } else if (row !~ /\//) {
                    if (!(row in of)) order[++rows] = row
                    of[row] = of[row] " " i
                }
            }
            for (i = 1; i <= rows; i++) {
                if (order[i] in line) {
                    printf "%s", line[order[i]]
                    continue
                }
                m = at_median(order[i], of[order[i]])
                n = requests[m]
                printf "%s %.0f %.0f %.0f %.0f %d\n", order[i], all[m] / n, user[m] / n, kernel[m] / n, hypervisor[m] / n, m
            }
        }' >"$out/$1.rows"
}

for system in $systems; do
    echo "# booting the disk benchmark: $system" >&2
    boot "$system" >"$out/$system.result" 2>&1 || { status=1; cat "$out/$system.result" >&2; }
    if [ -n "${SYMBOLS:-}" ]; then
        tr -d '\0' <"$image" | sed '/^end of symbols$/q' >"$out/$system.symbols"
    fi
    rows_of "$system"
done

# shellcheck disable=SC2046 # a list of words
awk '
    FNR == 1 { system_name = FILENAME; sub(/.*\//, "", system_name); sub(/\.rows$/, "", system_name) }
    { all[system_name, $1] = $2; if (!($1 in seen)) { seen[$1] = 1; order[++rows] = $1 } }
    function value(s, r) { return (s, r) in all ? all[s, r] : "-" }
    function part(s, r, xen) { xen = all["xen", r] - all["native", r]; return (s, r) in all && ("native", r) in all && ("xen", r) in all && xen > 0 ? sprintf("%.0f %%", 100 * (all[s, r] - all["native", r]) / xen) : "-" }
    END {
        print "| row | native | Xen, blkback | Collet, guest | Collet, Domain0 | the guest'"'"'s gap, of Xen'"'"'s |"
        print "|---|--:|--:|--:|--:|--:|"
        for (i = 1; i <= rows; i++) { r = order[i]; printf "| %s | %s | %s | %s | %s | %s |\n", r, value("native", r), value("xen", r), value("collet", r), value("collet-dom0", r), part("collet", r) }
    }' $(for system in native xen collet collet-dom0; do [ ! -s "$out/$system.rows" ] || echo "$out/$system.rows"; done) >"$out/disk.md"
cat "$out/disk.md"
exit $status
