# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: colletd is killed under load, interfaces come and go, guests are destroyed and crash in the middle of traffic: the others do not notice.
. /test/net-lib.sh

daemon_dies() { kill -9 "$(pidof colletd)"; sleep "${1:-1}"; timeout 30 colletd --daemon; }
printf '%s\n' 'drop in on a proto tcp from any to any port 80' >/tmp/test.rules
check "rules are in force" c rules load /tmp/test.rules
guest_begin a "peer tcp 10.0.2.17 20000000 20000000"
check "kill -9 colletd during a transfer; it starts again" daemon_dies 2
check "the rules still judge" no_page 10.0.2.16
check "the transfer's contents are right" guest_end a 90
check "the interfaces are known to the new one" sh -c 'collet vif list >/tmp/vifs; cat /tmp/vifs; [ "$(grep -c -i connected /tmp/vifs)" -ge 3 ]'
c rules flush >/dev/null
check "a second interface for a running guest" c vif add b extra --ip 10.0.2.27
up_there() { guest b 15 '[ -e /sys/class/net/eth1 ] && ip link set eth1 up && ip addr add 10.0.2.27/32 dev eth1'; }
check "comes up in it" within 20 up_there
check "and is taken away" c vif del b extra
check "and gone from it" within 20 guest_can b 10 '[ ! -e /sys/class/net/eth1 ]'
check "the first one still works" answers 10.0.2.17

guest_begin a "peer flood 10.0.2.17 25 1400 & peer flood 10.0.2.15 25 64 & peer flood 10.0.2.2 25 1400"
sleep 2
check "while a guest floods, the other reaches Domain0" says '[0-9]+ packets received' guest b 20 'ping -c 3 -W 2 10.0.2.15'
free_then=$(memory_free)
check "a guest that is flooded is destroyed" c destroy b
check "it is gone" within 20 gone b
memory_back() { now=$(memory_free); echo "$free_then, then $now"; [ "$now" -gt $((free_then + (100 << 20))) ]; }
check "its memory is back" within 20 memory_back
check "the one that floods is destroyed" c destroy a
check "it is gone" within 20 gone a
check "Domain0 reaches the gateway" within 10 answers 10.0.2.2
net_guest b 17
check "a guest of that name and address again" bring_up b
check "is reached" within 10 answers 10.0.2.17
guest_begin b "(peer flood 10.0.2.15 30 1400 &) ; sleep 2; echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger"
check "a guest that crashes amid its packets is gone" within 30 gone b
check "Domain0 still reaches the gateway" within 10 answers 10.0.2.2
check "no card has failed" sh -c 'collet nic list --json | jq -e "[.. | objects | select(has(\"resets\")) | .resets] | add == 0"'
