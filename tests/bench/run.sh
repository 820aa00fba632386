#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boot the benchmark natively, under Debian's Xen and on Collet, and print one table with ratios.
#
#   run.sh [ROW...]        environment: SYSTEMS="native xen collet", BUILD=build, BENCH_ARGS as of boot.sh
#
# Leaves build/bench/<system>.json and build/bench/table.md. A system that did not boot has empty columns and makes the exit status 1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
systems=${SYSTEMS:-native xen collet}
out=$build/bench
words=
[ $# = 0 ] || words="bench.rows=$(echo "$*" | tr ' ' ',')"
status=0
mkdir -p "$out"

case " $systems " in
*" xen "*)
    package=$("$here/../../plugins-dom0/image/fetch-deb.sh" "$build/debian/packages" xen-hypervisor-4.17-amd64)
    gzip -dc "$package"/boot/xen-4.17-amd64.gz >"$out/xen"
    xen_version=$(basename "$package" | sed 's/.*_//')
    ;;
esac
kernel_version=$(sed 's/^[^_]*_\([^ ]*\).*/\1/' "$build/debian/version")
qemu_version=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
collet_version=$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)

for system in $systems; do
    echo "# booting the benchmark: $system" >&2
    # shellcheck disable=SC2086
    "$here/boot.sh" "$system" "$out/$system.log" $words >"$out/$system.result" 2>&1 || { status=1; cat "$out/$system.result" >&2; }
    tr -d '\r' <"$out/$system.log" | grep -a '^row ' >"$out/$system.rows" || true
    {
        printf '{ "system": "%s", "date": "%s", "qemu": "%s", "kernel": "%s", "unit": "instructions", "rows": {' \
            "$system" "$(date -u +%F)" "$qemu_version" "$kernel_version"
        awk '{ printf "%s\n  \"%s\": %.2f", (NR > 1 ? "," : ""), $2, $3 / 100 }' "$out/$system.rows"
        printf '\n} }\n'
    } >"$out/$system.json"
done
for system in native xen collet; do
    [ -e "$out/$system.rows" ] || : >"$out/$system.rows"
done

# Column 1 of the table is the row; the other columns instructions and ratios.
awk -v markdown="$out/table.md" '
    function number(v) { return v == "" ? "-" : v >= 100000000 ? sprintf("%.1f M", v / 100000000) : sprintf("%.0f", v / 100) }
    function ratio(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.3f", a / b) }
    FILENAME ~ /native/ { native[$2] = $3 }
    FILENAME ~ /xen/ { xen[$2] = $3 }
    FILENAME ~ /collet/ { collet[$2] = $3 }
    !($2 in seen) { seen[$2] = 1; order[++rows] = $2 }
    END {
        printf "%-16s %12s %12s %12s %11s %14s %13s\n", "row", "native", "xen", "collet", "xen/native", "collet/native", "collet/xen"
        print "| row | native | Xen | Collet | Xen / native | Collet / native | Collet / Xen |" >markdown
        print "|---|--:|--:|--:|--:|--:|--:|" >markdown
        for (i = 1; i <= rows; i++) {
            r = order[i]
            cr = ratio(collet[r], xen[r])
            printf "%-16s %12s %12s %12s %11s %14s %13s%s\n", r, number(native[r]), number(xen[r]), number(collet[r]),
                ratio(xen[r], native[r]), ratio(collet[r], native[r]), cr, (cr != "-" && cr > 1 ? "  SLOWER" : "")
            printf "| %s | %s | %s | %s | %s | %s | %s |\n", r, number(native[r]), number(xen[r]), number(collet[r]),
                ratio(xen[r], native[r]), ratio(collet[r], native[r]), cr >markdown
        }
    }' "$out/native.rows" "$out/xen.rows" "$out/collet.rows"
for system in $systems; do
    printf '%-8s user program sees: %s\n' "$system" "$(tr -d '\r' <"$out/$system.log" | sed -n 's/^cpu //p' | head -n 1)"
done
echo "Instructions per operation (M: millions), $(date -u +%F). QEMU $qemu_version -icount shift=0, -cpu max,-smap, 1 CPU; Linux $kernel_version; Xen ${xen_version:-not run}; Collet $collet_version."
exit $status
