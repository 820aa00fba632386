#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Count the instructions of a packet: natively, between guests of Debian's Xen with xen-netback and a bridge, and of Collet; print one table. Collet also with rule sets of many sizes, and with a capture that matches
# nothing.
#
#   net.sh [ROW...]       environment: SYSTEMS="native xen collet", BUILD=build, LIMIT seconds; Collet knows the rows "rules" and "capture", too
#
# Leaves build/bench/net/<system>.rows (row, instructions a packet, byte or request, of which user, kernel, hypervisor), net.md with the limits and whether they are kept, two pictures (net-plot.sh). The machine has one processor and one virtio network card, whose frames go nowhere. How it
# is counted: see disk.sh. The processor has no fast string instructions (ERMS): an emulator counts each byte of theirs as an instruction, and Linux would copy with them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
build=${BUILD:-build}
debian=$build/debian
packages=$debian/packages
systems=${SYSTEMS:-native xen collet}
out=$build/bench/net
pack=$top/plugins-dom0/image/pack.sh
fetch=$top/plugins-dom0/image/fetch-deb.sh
words="bench=1 nokaslr quiet nopvspin"
[ $# = 0 ] || words="$words bench.rows=$(echo "$*" | tr ' ' ',')"
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
status=0

gcc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -o "$out/count-plugin.so" "$here/count-plugin.c"
gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o "$out/net" "$here/net.c"

# ---- ramdisks: Domain0's base, the same for each system, and one archive of ours behind it ----

kernel=$packages/$(sed 's/^\([^ ]*\) .*/\1/' "$debian/version")
"$fetch" "$packages" zlib1g libc6 iperf3 libiperf0 libsctp1 libssl3 xen-utils-4.17 xenstore-utils libxenmisc4.17 libxenstore4 libxencall1 libxenevtchn1 libxengnttab1 libxenforeignmemory1 libxentoolcore1 \
    libxentoollog1 libxendevicemodel1 libxenhypfs1 libyajl2 libuuid1 liblzma5 libzstd1 libgcc-s1 >"$stage/folders"
mkdir "$stage/pool"
while read -r folder; do
    for libraries in "$folder/lib/x86_64-linux-gnu" "$folder/usr/lib/x86_64-linux-gnu"; do
        [ ! -d "$libraries" ] || find "$libraries" -maxdepth 1 -name '*.so*' -exec cp -P {} "$stage/pool/" \;
    done
done <"$stage/folders"

from_package() { # path in a package
    mkdir -p "$(dirname "$archive/$1")"
    while read -r folder; do
        [ ! -e "$folder/$1" ] || { cp "$folder/$1" "$archive/$1"; libraries_of "$archive/$1"; return 0; }
    done <"$stage/folders"
    echo "net.sh: no package has $1" >&2
    return 1
}
libraries_of() {
    for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        [ ! -e "$archive/lib/x86_64-linux-gnu/$name" ] || continue
        cp -L "$stage/pool/$name" "$archive/lib/x86_64-linux-gnu/$name"
        libraries_of "$archive/lib/x86_64-linux-gnu/$name"
    done
}
begin_archive() {
    archive=$stage/$1
    mkdir -p "$archive/bench/modules" "$archive/lib/x86_64-linux-gnu" "$archive/lib64"
    ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$archive/lib64/"
    cp -L "$stage/pool/ld-linux-x86-64.so.2" "$stage/pool/libgcc_s.so.1" "$archive/lib/x86_64-linux-gnu/"
    cp "$out/net" "$archive/bench/net"
    cp "$here/net-guest.sh" "$archive/bench/guest.sh"
    for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net xen-netfront xen-netback llc stp bridge xen-gntdev; do
        find "$kernel/lib/modules" -name "$module.ko" -exec cp {} "$archive/bench/modules/" \;
    done
    from_package usr/bin/iperf3
    cp "$stage/targets" "$archive/bench/targets"
}

# Rule sets shaped as ClassBench's, the same each time. All accept: each packet takes the whole way, whatever rule decides. First packets go where the rules of the largest point.
for n in 0 1 10 100 1000 10000; do
    "$build/vfr-cost" --print $n mixed 6 | sed 's/^drop/accept/' >"$stage/rules-$n"
done
awk 'match($0, / to [0-9.]+\/[0-9]+( port [0-9]+)?/) {
    split(substr($0, RSTART, RLENGTH), word, " ")
    sub(/\/.*/, "", word[2])
    port = word[4] != "" ? word[4] : 1024 + NR % 60000
    if (word[2] + 0 < 224 && word[2] !~ /^(0|10|127)\./ && !seen[word[2], port]++) print word[2], port
}' "$stage/rules-10000" >"$stage/targets"

begin_archive guest
"$pack" "$stage/guest" "$stage/guest.cpio"
cat "$debian/dom0.cpio" "$stage/guest.cpio" >"$out/guest.cpio"

begin_archive xen
cp "$out/guest.cpio" "$archive/bench/guest.cpio"
cp "$here/net-xen.sh" "$archive/bench/xen.sh"
mkdir -p "$archive/boot"
cp "$debian/vmlinuz" "$archive/boot/vmlinuz"
for name in xl xen-init-dom0 xenstored xenconsoled xenconsole; do
    from_package usr/lib/xen-4.17/bin/$name
done
from_package usr/bin/xenstore
ln -s xenstore "$archive/usr/bin/xenstore-write"
"$pack" "$stage/xen" "$stage/xen.cpio"
cat "$debian/dom0.cpio" "$stage/xen.cpio" >"$out/xen.cpio"

begin_archive collet
cp "$out/guest.cpio" "$archive/bench/guest.cpio"
cp "$here/net-collet.sh" "$archive/bench/collet.sh"
cp "$stage"/rules-* "$archive/bench/"
"$pack" "$stage/collet" "$stage/collet.cpio"
[ ! -e "$build/dom0.cpio" ] || cat "$build/dom0.cpio" "$stage/collet.cpio" >"$out/collet.cpio"
gzip -dc "$("$fetch" "$packages" xen-hypervisor-4.17-amd64)"/boot/xen-4.17-amd64.gz >"$out/xen"

# ---- one boot ----

# Nobody listens there: what the card sends is gone.
network="-netdev socket,id=net0,udp=127.0.0.1:9,localaddr=127.0.0.1:$((20000 + $$ % 10000)) -device virtio-net-pci,netdev=net0"

boot() { # system
    system=$1
    case $system in
    native)
        set -- -kernel "$debian/vmlinux" -append "console=ttyS0 mem=600M $words collet.nonet bench.address=10.0.2.16 collet.run=/bench/guest.sh" -initrd "$out/guest.cpio" ;;
    xen)
        set -- -kernel "$out/xen" -append "console=com1 com1=115200,8n1 dom0_mem=1500M bootscrub=0 noreboot=1" -initrd "$debian/vmlinux console=hvc0 $(echo "$words" | sed 's/,/,,/g') collet.nonet collet.run=/bench/xen.sh,$out/xen.cpio" ;;
    collet)
        set -- -kernel "${COLLET:-$build/collet}" -append "console=com1 dom0_mem=600M" -initrd "$debian/vmlinux console=hvc0 $(echo "$words" | sed 's/,/,,/g') collet.run=/bench/collet.sh,$out/collet.cpio" ;;
    *)
        echo "net.sh: no system $system" >&2
        exit 2
        ;;
    esac
    rm -f "$out/$system".count* "$out/$system.log"
    {
        echo "expect ${LIMIT:-900} /net: done/ $system: all packets were measured"
        echo "exit 120 $system: the machine ends"
        echo "forbid /Oops|BUG:|Call Trace|Kernel panic/ $system: no fault of a kernel"
    } >"$stage/script"
    # shellcheck disable=SC2086 # lists of words
    "$build/tests/drive" -l "$out/$system.log" "$stage/script" -- qemu-system-x86_64 -accel tcg -icount shift=0,sleep=on -cpu "${CPU:-max,-smap,-erms,-fsrm}" -smp 1 -m "${MEM:-2200M}" -display none -serial stdio -monitor none -no-reboot \
        -plugin "$out/count-plugin.so,out=$out/$system.count" $network ${EXTRA_QEMU:-} "$@"
}

# Pairs the program's lines with the counter's. The median batch counts; of two runs the difference.
rows_of() { # system
    {
        tr -d '\r' <"$out/$1.log" | sed -n 's/.*batch \([a-z0-9@/-]*\) \([0-9]*\)$/batch \1 \2/p'
        cat "$out/$1.count"
    } | awk '
        BEGIN { batches = 0 }
        function line(row, i, n, j) { # j: to be subtracted, or -1
            return sprintf("%s %.2f %.2f %.2f %.2f %d\n", row, (all[i] - all[j]) / n, (user[i] - user[j]) / n, (kernel[i] - kernel[j]) / n, (hypervisor[i] - hypervisor[j]) / n, i)
        }
        function at_median(list, n, i, j, t) {
            n = split(list, v, " ")
            for (i = 2; i <= n; i++) for (j = i; j > 1 && all[v[j]] < all[v[j - 1]]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
            return v[int((n + 1) / 2)]
        }
        $1 == "batch" { name[batches] = $2; count[batches++] = $3 }
        $1 == "count" { all[$2] = $3; user[$2] = $4; kernel[$2] = $5; hypervisor[$2] = $6; counts = $2 + 1 }
        END {
            for (i = 0; i < counts; i++) {
                row = name[i]
                if (sub(/\/second$/, "", row)) {
                    order[++rows] = row
                    text[row] = line(row, i, count[i] - count[i - 1], i - 1)
                } else if (row !~ /\//) {
                    if (!(row in of)) order[++rows] = row
                    of[row] = of[row] " " i
                }
            }
            for (i = 1; i <= rows; i++) {
                m = at_median(of[order[i]])
                printf "%s", order[i] in text ? text[order[i]] : line(order[i], m, count[m], -1)
            }
        }' >"$out/$1.rows"
}

for system in $systems; do
    echo "# booting the network benchmark: $system" >&2
    boot "$system" >"$out/$system.result" 2>&1 || { status=1; cat "$out/$system.result" >&2; }
    [ ! -e "$out/$system.count" ] || rows_of "$system"
done

# shellcheck disable=SC2046 # a list of words
awk '
    FNR == 1 { system_name = FILENAME; sub(/.*\//, "", system_name); sub(/\.rows$/, "", system_name) }
    { all[system_name, $1] = $2; if (!($1 in seen)) { seen[$1] = 1; order[++rows] = $1 } }
    function value(s, r) { return (s, r) in all ? (all[s, r] < 100 ? all[s, r] : sprintf("%.0f", all[s, r])) : "-" }
    function ratio(r) { return ("collet", r) in all && ("xen", r) in all ? sprintf("%.0f %%", 100 * all["collet", r] / all["xen", r]) : "-" }
    function part(r, xen) { xen = all["xen", r] - all["native", r]; return ("collet", r) in all && ("native", r) in all && ("xen", r) in all && xen > 0 ? sprintf("%.0f %%", 100 * (all["collet", r] - all["native", r]) / xen) : "-" }
    END {
        print "| row | native | Xen, netback and bridge | Collet | of Xen | the gap, of Xen'"'"'s |"
        print "|---|--:|--:|--:|--:|--:|"
        for (i = 1; i <= rows; i++) { r = order[i]; printf "| %s | %s | %s | %s | %s | %s |\n", r, value("native", r), value("xen", r), value("collet", r), ratio(r), part(r) }
    }' $(for system in native xen collet; do [ ! -s "$out/$system.rows" ] || echo "$out/$system.rows"; done) >"$out/net.md"

# What is promised of them.
for system in native xen collet; do
    [ ! -s "$out/$system.rows" ] || sed "s/^/$system /" "$out/$system.rows"
done | awk '
    { all[$1, $2] = $3 }
    function limit(name, is, most) { printf "| %s | %.1f %% | %.1f %% | %s |\n", name, 100 * is, 100 * most, is <= most ? "kept" : "MISSED" }
    function gap(r) { if (("collet", r) in all && ("xen", r) in all && ("native", r) in all) limit(r ": what is added to native, of what Xen adds", (all["collet", r] - all["native", r]) / (all["xen", r] - all["native", r]), 1 / 3) }
    function whole(r) { if (("collet", r) in all && ("xen", r) in all) limit(r ": of Xen'"'"'s whole", all["collet", r] / all["xen", r], 1 / 2) }
    function pair(name, r, than, most) { if (("collet", r) in all && all["collet", than] > 0) limit(name, all["collet", r] / all["collet", than], most) }
    END {
        print "| limit | is | may be | |\n|---|--:|--:|---|"
        gap("udp-64-nic"); gap("udp-1400-nic"); gap("udp-64-new")
        whole("udp-64-guest"); whole("udp-1400-guest"); whole("tcp-stream"); whole("tcp-rr"); whole("udp-rr"); whole("iperf-tcp"); whole("iperf-udp")
        pair("10,000 rules, of 10: later packets", "udp-64-nic@rules-10000", "udp-64-nic@rules-10", 1.3)
        pair("10,000 rules, of 10: first packets", "udp-64-new@rules-10000", "udp-64-new@rules-10", 1.3)
        pair("capture that matches nothing, 64 bytes", "udp-64-nic@capture", "udp-64-nic@no-capture", 1.05)
        pair("capture that matches nothing, 1400 bytes", "udp-1400-nic@capture", "udp-1400-nic@no-capture", 1.05)
    }' >"$out/limits.md"
{ echo; cat "$out/limits.md"; } >>"$out/net.md"
cat "$out/net.md"
! command -v gnuplot >/dev/null || "$here/net-plot.sh" "$out"
exit $status
