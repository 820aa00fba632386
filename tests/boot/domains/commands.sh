# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: every command of `collet`, as somebody would type it: what it prints, its JSON, its exit codes, and that a mistake changes nothing.
. /test/lib.sh

json() { c "$@" --json | jq -e . >/dev/null; }
# Both are tiny and always want to run.
tiny one ""
tiny two ""
check "create" says 'created one, domain [0-9]+' c create /tmp/one.ini
check "create --paused, with another value" says 'paused' c create /tmp/two.ini --paused memory=24M sched.weight=512
check "the value was taken" is two memory_bytes $((24 << 20))
check "its weight too" says 'weight=512' c sched get two weight
check "create --dry-run creates nothing" says 'fine' c create --dry-run /tmp/one.ini name=three
check "three is not there" gone three
check "a mistake is told with its line" refused 1 'one.ini:5: memory = 12Q' c create /tmp/one.ini name=three memory=12Q
check "a missing file" refused 1 'no such file' c create nosuchfile
check "list: columns of xl" says '^Name +ID +Mem\(MiB\) +VCPUs +State +Time\(s\)' c list
check "list: a paused domain" says '^two .*--p---' c list two
check "list --long" says 'destroy +restart +destroy' c list --long one
check "list of nobody, nearly one" refused 3 'did you mean one' c list oen
check "unpause" c unpause two
check "pause several, by number and by name" c pause one "$(domid_of two)"
check "both are paused" says ' --p---' c list one two
check "a wrong name pauses nobody" refused 3 'no domain' c unpause one nobody
check "one is still paused" state_is one paused
check "unpause both" c unpause one two
check "info of the machine" says 'scheduler +: bvt' c info
check "info of a domain" says 'pinned tables' c info one
check "info --definition" says 'kernel = /boot/tiny/spin.elf' c info one --definition

check "vcpu list" says 'one +[0-9]+ +0 ' c vcpu list
check "vcpu pin" c vcpu pin one 0 1
check "it is pinned" says '^one .* 1$' c vcpu list one
check "vcpu pin to a CPU that is not there" refused 2 'CPUs are 0 to' c vcpu pin one 0 63
check "vcpu pin all" c vcpu pin one all all

check "sched list marks the active one" says '^\* +bvt' c sched list
check "sched set: two at once, with a unit" c sched set one weight=300 warp_ns=2ms
check "they are in force" says 'weight=300' c sched get one
check "and the time" says 'warp_ns=2ms' c sched get one
check "sched set: one mistake, none set" refused 1 'out of range' c sched set one weight=400 warp_ns=1000s
check "as before" says 'weight=300' c sched get one
check "sched set of a vCPU" c sched set one/0 weight=310
check "sched get of a vCPU" says 'weight=310' c sched get one/0
check "a parameter's name, nearly right" refused 3 'did you mean weight' c sched set one wieght=1
check "sched set takes what sched get prints" sh -c 'collet sched set two $(collet sched get one)'
check "sched show" says 'no module was dropped' c sched show
check "sched show of a domain" says 'weight +300' c sched show one
check "sched use" says 'rr \(before: bvt\)' c sched use rr
check "sched use of none" refused 3 'did you mean' c sched use bvtt
check "sched use back" c sched use bvt

check "top --batch" says '^one +[0-9]+ ' c top --batch -n 2 -d 0.5
check "top --json" sh -c 'collet top --json -n 1 -d 0.5 --vcpus | jq -e ".rows[] | select(.name == \"one/0\").cpu_percent > 5"'
check "top on a terminal" sh -c 'TERM=linux timeout 20 collet top -n 2 -d 0.5 >/dev/console </dev/console; rc=$?; echo >/dev/console; exit $rc'

check "trace status before" says 'not recording' c trace status
check "trace dump --seconds" says 'records to' c trace dump --seconds 1 -o /tmp/t.json
check "it is Chrome's format, with slices of both domains" jq -e '[.traceEvents[] | select(.ph == "X").name] | any(. == "one/0") and any(. == "two/0")' /tmp/t.json
check "trace start" c trace start --kinds all
check "trace status" says 'recording switch' c trace status
sleep 1
check "trace stop" c trace stop
check "trace dump: csv" sh -c 'collet trace dump --format csv | awk -F, "NR == 1 { next } \$1 < last { exit 1 } { last = \$1 } END { exit NR < 100 }"'
check "trace dump: text" says 'switch +one/0' c trace dump
check "trace dump: perfetto" sh -c 'collet trace dump -f perfetto -o /tmp/t.pf && grep -aq "vCPU 0" /tmp/t.pf'
check "trace dump: lines of JSON" sh -c 'collet trace dump --json | jq -es "length > 100" >/dev/null'
check "kinds, nearly right" refused 2 'did you mean switch' c trace start --kinds swich

watch_sees() {
    (sleep 1; collet pause one; collet unpause one) &
    c watch -n 2 --timeout 10 >/tmp/watch.out
    cat /tmp/watch.out
    grep -q 'paused .* one' /tmp/watch.out && grep -q 'unpaused .* one' /tmp/watch.out
}
check "watch" watch_sees
check "watch in vain" refused 6 'have not come' c watch -n 1 --timeout 0.3
check "log" says 'scheduler' c log
check "log --daemon" says 'one' c log --daemon
check "version" says '^hypervisor +collet' c version
check "daemon" says 'colletd .* runs' c daemon
check "help" says 'Examples' c help sched set
check "mem of one without a balloon waits in vain" refused 6 'not followed' c mem two 20M --wait 0.5
check "mem, no size" refused 2 'not a size' c mem two lots
check "rename" c rename two zwei
check "renamed" says '^zwei' c list zwei
check "shutdown of one that does not listen" refused 6 '' c shutdown zwei --timeout 1
check "completion of names" says '^zwei$' c __complete words pause zw
for words in list "list -a" info "info one" "vcpu list" "vcpu list one" "sched list" "sched show" "sched show one" "sched get one" "trace status" "plugin list" daemon version help "pause one" "unpause one"; do
    # shellcheck disable=SC2086
    check "$words --json" json $words
done
failures_are_json() { c info nobody --json | jq -e '.error == "ESRCH" and .exit == 3 and (.message | length > 0)'; }
check "failures are JSON" failures_are_json
check "an option that is none" refused 2 'did you mean --long' c list --lnog
check "a command that is none" refused 2 'did you mean' c lsit

check "daemon stop" c daemon stop
check "then daemon says 5" refused 5 'does not run' c daemon
check "destroy says how to do without" refused 5 'destroy --force' c destroy zwei
check "list works" says '^zwei' c list
check "destroy --force" c destroy --force zwei
check "it is gone" gone zwei
check "Domain0 cannot be destroyed" refused 1 'poweroff' c destroy --force Domain-0
check "colletd again" timeout 30 colletd --daemon
check "destroy --all asks first" refused 1 'nothing was destroyed' sh -c 'collet destroy --all </dev/null'
check "destroy --all --yes" c destroy --all --yes
check "nobody is left" sh -c '[ "$(collet list --json | jq ".domains | length")" = 1 ]'
check "list --all remembers them" says '^one .* ended' c list --all
