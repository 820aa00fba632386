# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Runs in Domain0: many domains at once. Words on Domain0's command line: test.tiny=N tiny PV kernels of 16 MiB (a third of them each: spinning with weight 1, spinning
# with weight 3, mostly asleep), test.debian=N unmodified Debian kernels of 128 MiB.
. /test/lib.sh
tiny=0
debian=0
for word in $(cat /proc/cmdline); do
    case $word in
    test.tiny=*) tiny=${word#*=} ;;
    test.debian=*) debian=${word#*=} ;;
    esac
done
within 20 sh -c 'collet plugin list >/dev/null 2>&1'
free_before=$(memory_free)
# Domain0 keeps to CPU 0; the spinning ones share CPU 1: so shares are a matter of weights alone.
check "Domain0 keeps to CPU 0" c vcpu pin Domain-0 all 0
# It has as much to do as all guests that start: with a weight like theirs it would get a hundredth.
check "and is worth 32 of them" c sched set Domain-0 weight=8192
# The Debian kernels first: while they start nobody spins.
create_debian() {
    i=0
    while [ $i -lt "$debian" ]; do
        job=
        [ $((i % 5)) != 0 ] || job=domu.run=latency
        definition "deb$i" "cmdline = console=hvc0 pci=off quiet domu.name=deb$i $job" "[sched]" "weight = 512"
        limit=300 c create "/tmp/deb$i.ini" >/dev/null || { echo "number $i"; return 1; }
        i=$((i + 1))
    done
}
check "create $debian Debian guests of 128 MiB" create_debian
all_spoke() {
    i=0
    while [ $i -lt "$debian" ]; do
        within 600 spoke "deb$i" "domU: hello deb$i" || { echo "deb$i is silent"; return 1; }
        i=$((i + 1))
    done
}
check "all their user spaces speak" all_spoke
create_tiny() {
    i=0
    while [ $i -lt "$tiny" ]; do
        started=$(uptime_cs)
        case $((i % 3)) in
        0) tiny "one$i" "" "cpus = 1" "[sched]" "weight = 256" && ini=/tmp/one$i.ini ;;
        1) tiny "three$i" "" "cpus = 1" "[sched]" "weight = 768" && ini=/tmp/three$i.ini ;;
        2) tiny "tick$i" "role=tick period_us=100000" && ini=/tmp/tick$i.ini ;;
        esac
        c create "$ini" >/dev/null || { echo "number $i"; return 1; }
        echo "$i $(($(uptime_cs) - started))" >>/tmp/costs
        i=$((i + 1))
    done
}
check "create $tiny tiny domains" create_tiny
awk '{ c[n++] = $2 } END { for (i = 0; i < 5; i++) { a += c[i]; z += c[n - 1 - i] } print "# creation: " a * 2 " ms at first, " z * 2 " ms at last" }' /tmp/costs
check "all are on the list" sh -c "[ \"\$(collet list --json | jq '.domains | length')\" = $((tiny + debian + 1)) ]"
idle_cost() {
    c list --json | jq -r '[.domains[] | select(.domid != 0).hypervisor_bytes] | "hypervisor memory for a domain: \(min / 1024) to \(max / 1024) KiB", (if max < 262144 then "fine" else "much" end)' >/tmp/cost
    cat /tmp/cost
    grep -q fine /tmp/cost
}
check "hypervisor memory per domain is under 256 KiB" idle_cost
c list --json | jq -r '"# hypervisor memory for a domain: \([.domains[] | select(.domid != 0).hypervisor_bytes] | max / 1024) KiB at most"'

progress_and_shares() {
    c sched use "$1" || return 1
    sleep 2
    measured "$2"
}
measured() { # RATIO: everybody runs; those of weight 3 get RATIO times what those of weight 1 get
    c list --json >/tmp/before
    sleep 15
    c list --json >/tmp/after
    jq -nr --slurpfile b /tmp/before --slurpfile a /tmp/after --argjson want "$1" '
        ([$b[0].domains[] | {key: .name, value: .run_ns}] | from_entries) as $was
        | [$a[0].domains[] | {name, ran: (.run_ns - $was[.name])}] as $all
        | ($all[] | select(.ran <= 0) | "stalled: \(.name)"),
          ([$all[] | select(.name | startswith("one")).ran] | add / length) as $one
        | ([$all[] | select(.name | startswith("three")).ran] | add / length) as $three
        | "weight 3 got \($three / $one * 1000 | round / 1000) times what weight 1 got, promised \($want)",
          (if $three / $one / $want > 0.98 and $three / $one / $want < 1.02 then "fine" else "unfair" end)' >/tmp/progress
    cat /tmp/progress
    grep -q '^fine' /tmp/progress && ! grep -q '^stalled' /tmp/progress
}
for module in bvt rr stride credit; do
    c sched list --json | jq -e --arg m $module '.modules[] | select(.name == $m)' >/dev/null || continue
    want=3
    [ $module != rr ] || want=1
    check "under $module all make progress, shares are right" progress_and_shares $module $want
    sed "s/^/#   /" /tmp/check.out
done
destroy_everybody() {
    for name in $(c list --json | jq -r '.domains[] | select(.domid != 0).name'); do
        c destroy "$name" || return 1
    done
    within 20 sh -c '[ "$(collet list --json | jq ".domains | length")" = 1 ]'
}
check "destroy them all" destroy_everybody
# The hypervisor keeps the stacks of vCPUs that are gone for the next ones (hypervisor/domain/vcpu.c): 12 KiB each, and some for Domain0's own tables.
memory_is_back() {
    echo "$free_before before, $(memory_free) now"
    [ "$(memory_free)" -ge "$((free_before - (1 << 20) - (tiny + debian) * 12288))" ]
}
check "all memory is back" within 10 memory_is_back
