# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# In Domain0: how guests end, by themselves and by force, and what each policy makes of it. All memory is back at the end.
. /test/lib.sh

create() { limit=120 c create "$@"; }
destroy_all() {
    for name in $(c list --json | jq -r '.domains[] | select(.domid != 0).name'); do
        c destroy "$name"
    done
}
free_before=$(memory_free)

reboots() {
    before=$(domid_of two)
    console_mark two
    c reboot two || return 1
    within 60 spoke two 'domU: hello two' || return 1
    echo "domain $before, then $(domid_of two)"
    [ "$(domid_of two)" != "$before" ]
}
definition two "on_reboot = restart"
check "create two" create /tmp/two.ini
check "two speaks" within 60 spoke two 'domU: hello two'
check "reboot: it comes back as a new domain" reboots
check "list --json tells of its restart" is two restarts 1
check "destroy while it runs" c destroy two
check "it is gone" within 10 gone two

reboot_ends() {
    create /tmp/three.ini || return 1
    within 60 spoke three 'domU: hello three' && within 30 gone three
}
definition three "cmdline = console=hvc0 pci=off quiet domu.name=three domu.run=reboot" "on_reboot = destroy"
check "on_reboot = destroy: a reboot from inside ends it" reboot_ends

crash_line="cmdline = console=hvc0 pci=off quiet domu.run=crash domu.after=1 domu.name"
definition four "$crash_line=four" "on_crash = destroy"
crash_destroys() { create /tmp/four.ini && within 60 spoke four 'domU: hello four' && within 30 gone four; }
check "on_crash = destroy: it is destroyed" crash_destroys
check "and its exit is told" says 'four.*crash' c list --all --long
definition five "$crash_line=five" "on_crash = preserve"
crash_preserves() { create /tmp/five.ini && within 60 spoke five 'domU: hello five' && within 30 state_is five crashed; }
check "on_crash = preserve: it stays, crashed" crash_preserves
check "info tells why" says 'crash' c info five
check "destroy a crashed one" c destroy five
definition six "$crash_line=six" "on_crash = restart"
crash_restarts() {
    create /tmp/six.ini && within 60 spoke six 'domU: hello six' || return 1
    first=$(domid_of six)
    within 60 sh -c ". /test/lib.sh; now=\$(domid_of six); [ -n \"\$now\" ] && [ \"\$now\" != $first ]"
}
check "on_crash = restart: it comes back" crash_restarts
check "destroy it while it starts" c destroy six
check "gone" within 10 gone six

definition seven "vcpus = 2"
destroy_paused() { create /tmp/seven.ini --paused && state_is seven paused && c destroy seven && within 10 gone seven; }
check "create --paused, destroy before its first instruction" destroy_paused
destroy_early() {
    create /tmp/seven.ini || return 1
    sleep "$1"
    c destroy seven && within 10 gone seven
}
for after in 0 0.3 0.7 1.5; do
    check "destroy $after s after its start" destroy_early $after
done
destroy_ballooning() {
    create /tmp/eight.ini && within 60 spoke eight 'domU: hello eight' && c mem eight 100M && c destroy eight && within 10 gone eight
}
definition eight "memory = 192M"
check "destroy while it balloons" destroy_ballooning
killed_creation() { # the client is gone in the middle: the domain is there whole, or not at all
    (collet create /tmp/seven.ini >/dev/null 2>&1 & echo $! >/tmp/pid)
    sleep 0.3
    kill -9 "$(cat /tmp/pid)"
    sleep 3
    c list
    if gone seven; then return 0; fi
    state_is seven 'running|blocked|runnable' && c destroy seven
}
check "kill the command while it creates" killed_creation

# Mistakes are told with file and line, and nothing is left half created.
mistake() { # TEXT LINE...
    want=$1
    shift
    definition bad "$@"
    refused 1 "bad.ini:[0-9]+: .*$want" create /tmp/bad.ini && gone bad
}
check "a size that is none: file and line" mistake 'memory = 12Q' "memory = 12Q"
check "a key that does not exist" mistake 'no such key' "memmory = 12M"
check "a kernel that is not there" mistake 'No such file' "kernel = /boot/nothing"
check "vcpus = 0" mistake 'vcpus' "vcpus = 0"
check "a parameter of no scheduler" mistake 'no scheduler' "[sched]" "wait = 3"
check "an action that does not exist" mistake 'restart' "on_crash = explode"
head -c 100000 /dev/urandom >/tmp/rubbish
not_kernel() {
    definition bad "kernel = $1"
    refused 1 "$2" create /tmp/bad.ini && gone bad
}
check "a kernel that is rubbish" not_kernel /tmp/rubbish 'rubbish'
head -c 5000000 /boot/debian.vmlinuz >/tmp/short
check "a kernel that is cut off" not_kernel /tmp/short 'short'
too_large() {
    definition bad "memory = 64G"
    refused 1 'memory' create /tmp/bad.ini && gone bad
}
check "more memory than there is" too_large
check "no such domain: exit code 3" refused 3 'no domain' c destroy nobody
check "wrong usage: exit code 2" refused 2 'collet' c create
check "an unknown command: exit code 2" refused 2 'collet' c frobnicate

check "nothing is left" sh -c '[ "$(collet list --json | jq ".domains | length")" = 1 ]'
memory_is_back() {
    echo "$free_before before, $(memory_free) now"
    [ "$(memory_free)" -ge "$((free_before - (1 << 20)))" ]
}
check "all memory is back" within 10 memory_is_back
destroy_all
