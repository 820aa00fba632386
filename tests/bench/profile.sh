#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where do the instructions of one benchmark row go? Exact, not sampled.
#
#   profile.sh ROW [INSTRUCTIONS]      default: the next 3 million after the row has warmed up; SYSTEM=collet (or native, xen)
#
# Boots the benchmark with bench.loop=ROW; when the row runs, QEMU is told to translate single instructions and to log each that it executes. A program
# counter is a user's, the guest kernel's (upper half, above the hypervisor's slots), or the hypervisor's, which is given its function's name.
# MARKDOWN=1 prints one line of docs/performance.md instead: row, figure, user, guest kernel, hypervisor, its dearest functions.
# With the row's figure from build/bench/<system>.rows, shares become instructions per operation.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
row=${1:?which row}
limit=${2:-3000000}
system=${SYSTEM:-collet}
work=$build/bench/profile
rm -rf "$work" && mkdir -p "$work"
mkfifo "$work/monitor.in" "$work/monitor.out" "$work/trace"

LOOP_SECONDS=600 EXTRA_QEMU="-monitor pipe:$work/monitor" "$here/boot.sh" "$system" "$work/console.log" "bench.loop=$row" >"$work/result" 2>&1 &
machine=$!
cat "$work/monitor.out" >/dev/null &
reader=$!
trap 'kill $machine $reader 2>/dev/null; wait 2>/dev/null; rm -f "$work"/monitor.* "$work/trace"' EXIT

for _ in $(seq 300); do
    if grep -aq '^loop ' "$work/console.log" 2>/dev/null; then break; fi
    kill -0 $machine 2>/dev/null || { cat "$work/result"; exit 1; }
    sleep 1
done
grep -aq '^loop ' "$work/console.log" || { echo "profile: the row never ran"; exit 1; }
{ echo "singlestep on"; echo "logfile $PWD/$work/trace"; echo "log exec,nochain"; } >"$work/monitor.in"

# "Trace 0: host [cs base/PC/flags/flags] ...": the PC alone, counted.
awk -v limit="$limit" -F/ '/^Trace/ { count[$2]++; if (++n >= limit) exit } END { for (pc in count) print pc, count[pc] }' "$work/trace" >"$work/counts"

per_operation=$(awk -v row="$row" '$2 == row { print $3 / 100 }' "$build/bench/$system.rows" 2>/dev/null || true)
{
    nm -n "${ELF:-$build/hv/collet.elf}" | awk '$2 ~ /[tT]/ { print $1, "S", $3 }'
    cat "$work/counts"
} | LC_ALL=C sort -k1,1 -k2,2r | awk -v each="${per_operation:-0}" -v row="$row" -v system_name="$system" -v markdown="${MARKDOWN:-}" '
    $2 == "S" { symbol = $3; next }
    {
        total += $2
        if ($1 < "0000800000000000") where = "user program"
        else if ($1 >= "ffff800000000000" && $1 < "ffff880000000000") where = system_name != "collet" ? "hypervisor" : symbol == "__text_end" ? "(stub in the CPU area)" : symbol
        else if (system_name == "xen" && $1 >= "ffff82d000000000" && $1 < "ffff830000000000") where = "hypervisor"
        else where = "guest kernel"
        share[where] += $2
        if (where != "user program" && where != "guest kernel") inside += $2
    }
    END {
        if (markdown) {
            for (n = 0; n < 6; n++) {
                best = ""
                for (where in share) if (where !~ /^(user program|guest kernel)$/ && (best == "" || share[where] > share[best])) best = where
                if (best == "" || share[best] * 200 < total) break
                top = top (n ? ", " : "") sprintf("%s %.0f", best, each * share[best] / total)
                delete share[best]
            }
            printf "| %s | %.0f | %.0f | %.0f | %.0f | %s |\n", row, each, each * share["user program"] / total,
                each * share["guest kernel"] / total, each * inside / total, top
            exit
        }
        printf "%s on %s: %d instructions", row, system_name, total
        if (each) printf "; one operation takes %.0f", each
        printf "; in the hypervisor %.1f%%", 100 * inside / total
        if (each) printf " = %.0f an operation", each * inside / total
        print ""
        for (where in share) if (share[where] * 2000 >= total) printf "%6.2f%% %10.1f  %s\n", 100 * share[where] / total, each * share[where] / total, where | "sort -rn"
    }'
