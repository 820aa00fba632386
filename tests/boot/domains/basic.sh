# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: the daemons are there, a guest is made from its definition, is seen, watched, resized, paused, renamed, ended.
. /test/lib.sh

daemon_answers() { c list >/dev/null && collet plugin list >/dev/null; }
check "colletd answers" within 20 daemon_answers
check "xenstore-ls works" says 'domain' timeout 20 xenstore-ls
xenstore_write_read() {
    xenstore-write /test/a 17 && [ "$(xenstore-read /test/a)" = 17 ] && xenstore-rm /test/a && ! xenstore-exists /test/a
}
check "xenstore-write, -read, -rm, -exists work" xenstore_write_read
xenstore_watches() {
    timeout 10 xenstore-watch -n 2 /test/w >/tmp/watch.out 2>&1 &
    sleep 1
    xenstore-write /test/w/x 1
    wait $!
    cat /tmp/watch.out
    grep -q /test/w/x /tmp/watch.out
}
check "xenstore-watch sees a write" xenstore_watches
check "xenconsoled runs" pidof xenconsoled
check "collet version" says '[0-9]' c version
check "collet list shows Domain0" says 'Domain.?0|dom0' c list
check "collet info" says '[Mm]emory|[Ff]ree' c info
check "collet sched list" says 'bvt' c sched list
check "collet sched show" says 'bvt' c sched show
check "collet log shows the hypervisor's log" says 'Collet' c log
check "collet help" says 'create' c help
check "--json is JSON everywhere" sh -c 'for x in list info version "sched list" "sched show" "plugin list"; do collet $x --json | jq -e . >/dev/null || { echo "$x"; exit 1; }; done'
check "a second colletd refuses" refused 1 'already|running|another' timeout 10 colletd

free_before=$(memory_free)
definition one
check "create a Debian guest from its definition" env limit=120 timeout 120 collet create /tmp/one.ini
check "its user space speaks" within 60 spoke one 'domU: hello one'
check "list shows it" says 'one' c list
check "it runs or sleeps" state_is one 'running|blocked|runnable'
has_store_nodes() {
    timeout 10 xenstore-ls -f "/local/domain/$(domid_of "$1")" >/tmp/nodes
    cat /tmp/nodes
    grep -q '/name = "one"' /tmp/nodes && grep -q /control/feature-poweroff /tmp/nodes && grep -q /memory/target /tmp/nodes
}
check "its XenStore nodes are there" has_store_nodes one
check "a second of the same name is refused" refused 1 'one' c create /tmp/one.ini
console_runs() {
    (sleep 2; printf 'echo a$((20 + 1))b\r'; sleep 4; printf '\035') | timeout 20 collet console one >/tmp/console.out 2>&1
    cat /tmp/console.out
    grep -q a21b /tmp/console.out
}
check "collet console: type, read, detach" console_runs
check "and again: it attaches anew" console_runs
check "its console's log has what was typed there" spoke one a21b

pause_holds() {
    c pause one && state_is one paused || return 1
    before=$(of one run_ns)
    sleep 1
    [ "$(of one run_ns)" = "$before" ]
}
check "pause stops it" pause_holds
check "unpause lets it run" sh -c 'collet unpause one'
check "it is not paused any more" state_is one 'running|blocked|runnable'
check "and answers on its console" console_runs
check "rename" sh -c 'collet rename one eins && collet list | grep -q eins'
check "rename back" sh -c 'collet rename eins one && collet list | grep -q one'

guest_memory() { # MiB, about: what the guest itself says
    (sleep 1; printf 'echo M=$(sed -n "s/MemTotal: *//p" /proc/meminfo)\r'; sleep 2; printf '\035') | timeout 20 collet console "$1" >/tmp/console.out 2>&1
    tr '\r' '\n' </tmp/console.out | sed -n 's/.*M=\([0-9][0-9]*\) kB.*/\1/p' | tail -n 1
}
memory_follows() { # target MiB
    before=$(guest_memory one)
    c mem one "$1M" || return 1
    within 20 is one memory_bytes "$(($1 << 20))" || return 1
    after=$(guest_memory one)
    echo "guest: $before kB, then $after kB"
    [ -n "$after" ] && [ $((before - after)) -ge $((($2 - 2) << 10)) ] && [ $((before - after)) -le $((($2 + 2) << 10)) ]
}
check "mem down: the guest gives 32 MiB back" memory_follows 96 32
check "mem up: the guest takes them again" memory_follows 128 -32
check "mem beyond the maximum is refused" refused 1 'max' c mem one 400M
check "shutdown --wait" sh -c 'timeout 40 collet shutdown --wait one'
check "it is gone from the list" within 20 gone one
frames_are_back() { [ "$(memory_free)" -ge "$((free_before - (1 << 20)))" ]; }
check "all its memory is back" within 10 frames_are_back
