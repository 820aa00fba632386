# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Runs in Domain0 for `make demo`: three guests with weights 1:2:4 on one CPU, the scheduler swapped under them, and what a latency policy does for a fourth.
. /test/lib.sh

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; sh -c "$*"; }
part() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
summary=/tmp/summary
: >$summary
failed=0
# row VERDICT TEXT: a row of the summary.
row() { printf '  %-64s %s\n' "$2" "$1" >>$summary; [ "$1" != WRONG ] || failed=1; }

part "Domain0: an unmodified Debian kernel"
say cat /sys/hypervisor/type
say uname -r
say collet version
within 20 sh -c 'collet plugin list >/dev/null 2>&1'

part "Guests, unmodified Debian kernels too, on CPU 1; Domain0 keeps to CPU 0"
say collet vcpu pin Domain-0 all 0
# NAME: create it from /tmp/NAME.ini, wait for its user space, and pause it until all are there: they would only hinder each other.
bring_up() {
    started=$(uptime_cs)
    limit=150 c create "/tmp/$1.ini" >/tmp/created 2>&1 || row WRONG "create $1"
    created=$(uptime_cs)
    within 90 spoke "$1" 'domU: hello' || row WRONG "$1 speaks"
    booted=$(uptime_cs)
    c pause "$1"
    echo "$1: created in $(((created - started) / 100)).$(((created - started) % 100 / 10)) s, its user space spoke $(((booted - created) / 100)).$(((booted - created) % 100 / 10)) s later"
}
for weight in 1 2 4; do # 256 is what everybody has
    definition "w$weight" "cpus = 1" "cmdline = console=hvc0 pci=off quiet domu.name=w$weight domu.run=spin" "[sched]" "weight = $((weight * 256))"
    bring_up "w$weight"
done
definition quick "cpus = 1" "cmdline = console=hvc0 pci=off quiet domu.name=quick domu.run=latency" "[sched]" "weight = 512" "[plugin latency]" "latency = 3ms" "burst = 1ms" "cpu = 10%"
bring_up quick
c unpause w1 && c unpause w2 && c unpause w4
say cat /tmp/w4.ini
say collet list

# shares NAME TOLERANCE-PERMILLE SECONDS W1 W2 W4: what each got of the three's time, beside what these weights promise. An emulator that its host keeps waiting
# charges that to whoever ran: what is outside is measured once more.
shares() {
    measure "$@"
    [ $verdict = ok ] || { echo "once more:"; measure "$@"; }
    row "$verdict" "$1: $(grep -o '[0-9.]*% of the' /tmp/shares | tr -d '\n' | sed 's/ of the/ /g; s/ $//'), $(grep '^worst' /tmp/shares)"
}
measure() {
    c list --json >/tmp/before
    sleep "$3"
    c list --json >/tmp/after
    echo "measured $3 s under $1:"
    jq -nr --slurpfile before /tmp/before --slurpfile after /tmp/after --argjson w "{\"w1\": $4, \"w2\": $5, \"w4\": $6}" --argjson tolerance "$2" '
        def ran: [.[0].domains[] | {key: .name, value: .run_ns}] | from_entries;
        ($before | ran) as $b | ($after | ran) as $a | ([$w[]] | add) as $weights | [$w | keys[] | {name: ., ran: ($a[.] - $b[.]), want: ($w[.] / $weights)}] as $all | ([$all[].ran] | add) as $sum
        | ($all[] | "  \(.name): \(.ran / 1e9 * 1000 | round / 1000) s = \(.ran / $sum * 10000 | round / 100)% of the three, promised \(.want * 10000 | round / 100)%"),
          ([$all[] | (.ran / $sum / .want - 1) | if . < 0 then -. else . end] | max) as $worst
        | "worst: \($worst * 10000 | round / 100)% off", (if $worst * 1000 <= $tolerance then "within" else "outside" end)' >/tmp/shares
    grep -v -E '^(within|outside)$' /tmp/shares
    if grep -q '^within$' /tmp/shares; then verdict=ok; else verdict=WRONG; fi
}
part "Shares by weight"
shares "bvt 1:2:4" 10 30 1 2 4
part "Another scheduler takes over while they run: rr knows no weights"
say collet sched use rr
shares "rr 1:1:1" 100 10 1 1 1
part "And a second swap"
say collet sched use bvt
shares "bvt 1:2:4 again" 10 30 1 2 4
say collet sched show

part "A guest that sleeps five milliseconds at a time, beside the three"
say collet unpause quick
# percentiles SECONDS: from becoming runnable to running, by the hypervisor's histogram over that time. Sets p50, p90, p99 (upper bounds of buckets, us).
percentiles() {
    c info quick --json >/tmp/before
    sleep "$1"
    c info quick --json >/tmp/after
    set -- $(jq -nr --slurpfile before /tmp/before --slurpfile after /tmp/after '
        def buckets: .[0].domain.vcpus[0].latency_buckets;
        ($before | buckets) as $b | ($after | buckets) as $a | [range(0; $a | length) | $a[.] - $b[.]] as $d | ($d | add) as $n
        | ([500, 900, 990][] as $p | first(range(0; $d | length) as $i | select(([$d[0:$i + 1][]] | add) * 1000 >= $n * $p) | $i) | pow(2; .)), $n')
    p50=$1 p90=$2 p99=$3
    echo "$4 wake-ups in that time; half ran within $p50 us, 90% within $p90 us, 99% within $p99 us"
}
sleep 2
percentiles 12
row "" "wake-up latency before: p50 $p50 us, p90 $p90 us, p99 $p99 us"
before_p90=$p90
say collet plugin load latency
sleep 3
say collet plugin show latency
percentiles 12
row "$([ "$p90" -lt "$before_p90" ] && echo ok || echo WRONG)" "with plugin latency:    p50 $p50 us, p90 $p90 us, p99 $p99 us"
say collet list

for name in w1 w2 w4 quick; do c destroy $name; done
say collet list
printf '\n---- what was seen ----\n'
cat $summary
echo "demo: $([ $failed = 0 ] && echo 'all as promised' || echo 'NOT as promised')"
exit $failed
