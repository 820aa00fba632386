# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: guests with several vCPUs, the cloud kernel, schedulers that change under them, affinity, trace.
. /test/lib.sh

create() { limit=150 c create "$@"; }
definition four "vcpus = 4" "memory = 160M"
check "a guest with 4 vCPUs" create /tmp/four.ini
check "it has them all" within 60 spoke four 'domU: hello four, 4 CPUs'
check "list counts them" is four vcpus_online 4
definition cloud "kernel = /boot/cloud.vmlinuz" "memory = 192M" "vcpus = 2" "cmdline = console=hvc0 pci=off quiet domu.name=cloud domu.run=latency"
check "the cloud kernel" create /tmp/cloud.ini
check "it speaks" within 90 spoke cloud 'domU: hello cloud, 2 CPUs'
tiny spin1 ""
tiny tick1 "role=tick"
check "tiny domains" sh -c 'collet create /tmp/spin1.ini && collet create /tmp/tick1.ini'

check "vcpu list" says 'four' c vcpu list
pinned() { c vcpu pin spin1 all 1 && sleep 1 && c info spin1 --json | jq -e '.domain.vcpus[0].cpu == 1 and .domain.vcpus[0].affinity == [1]'; }
check "vcpu pin holds" pinned
check "unpin" sh -c 'collet vcpu pin spin1 all all'

# Everybody has run since `ran_mark`.
ran_mark() { c list --json | jq -c '[.domains[] | {name, run_ns}]' >/tmp/ran; }
all_ran() {
    c list --json | jq -r --slurpfile before /tmp/ran '.domains[] | . as $d | $before[0][] | select(.name == $d.name) | select($d.run_ns <= .run_ns) | .name' >/tmp/stalled
    [ ! -s /tmp/stalled ] || { echo "did not run: $(cat /tmp/stalled)"; return 1; }
}
swaps() { # MODULE...: each in turn, with everybody running under it
    for module; do
        c sched use "$module" || return 1
        c sched show --json | jq -e --arg m "$module" '.. | objects | select(.active? == $m)' >/dev/null || { echo "not $module"; return 1; }
        ran_mark
        sleep 1
        all_ran || return 1
    done
}
modules=$(c sched list --json | jq -r '.modules[].name')
# shellcheck disable=SC2086 # a list of words
check "swap through all modules under load: $(echo $modules)" swaps $modules
many_swaps() {
    i=0
    while [ $i -lt 50 ]; do
        c sched use rr && c sched use bvt || return 1
        i=$((i + 1))
    done
}
limit=200 check "a hundred swaps in a row" many_swaps
ran_mark
sleep 1
check "everybody still runs" all_ran
check "an unknown module is refused: exit code 3" refused 3 'nosuch' c sched use nosuch
check "sched set and get" sh -c 'collet sched use bvt && collet sched set four weight=8 && collet sched get four | grep -q 8'
check "an unknown parameter is refused" refused 3 nosuch c sched set four nosuch=1
check "a value out of range is refused" sh -c '! collet sched set four weight=0'

trace_dumps() {
    c trace start && sleep 2 && c trace stop || return 1
    for format in chrome csv perfetto; do
        c trace dump --format "$format" >"/tmp/trace.$format" || return 1
        ls -l "/tmp/trace.$format"
        [ "$(wc -c <"/tmp/trace.$format")" -gt 10000 ] || return 1
    done
    jq -e . /tmp/trace.chrome >/dev/null || return 1
    grep -q four /tmp/trace.chrome
}
limit=60 check "trace: start, stop, dump in three formats" trace_dumps
check "top --batch prints once" says 'four' c top --batch -n 1
check "watch tells of a change" sh -c '(timeout 10 collet watch >/tmp/watch.out 2>&1 &) ; sleep 3; collet pause tick1; collet unpause tick1; sleep 4; cat /tmp/watch.out; grep -q tick1 /tmp/watch.out'
for name in four cloud spin1 tick1; do
    check "destroy $name" c destroy $name
done
