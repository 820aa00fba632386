# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: the rules are replaced as fast as can be while a guest floods another. All sets, from the first one on, are such that a datagram gets through only if two generations judged it (reload.c).
. /test/net-lib.sh

no_ports() { guest b 20 "awk '/^Udp: [0-9]/ { print \$3 }' /proc/net/snmp" | grep -E '^[0-9]+$' | tail -n 1; }
check "datagrams to a port that nobody has come to the other guest" guest a 20 "peer flood 10.0.2.17 1 100"
echo 'drop in on b proto udp from any to any port 9' >/tmp/first.rules
check "rules that keep them out" c rules load /tmp/first.rules
before=$(no_ports)
check "until now they came" test "${before:-0}" -gt 0
guest_begin a "peer flood 10.0.2.17 12 100"
check "sets are replaced as fast as can be while they come" reload 9
sed 's/^/# /' "$log"
rate=$(sed -n 's/.* sets, \([0-9]*\) a second.*/\1/p' "$log")
counted=$(sed -n 's/.*counted \([0-9]*\)$/\1/p' "$log")
check "the flood ends" guest_end a 60
# With the clock counting instructions (run.sh with CPUS=1 EXTRA_QEMU="-icount shift=0,sleep=on") it is 15,000, and 1,000 would be a fault. Otherwise the host's load decides: this is only to say that it goes on.
check "at least 20 sets a second" test "${rate:-0}" -ge 20
check "the counter of the rule that all have went on" test "${counted:-0}" -gt 1000
after=$(no_ports)
echo "# the other guest got $before datagrams before, $after in all"
check "not one of $counted was judged by two sets" test "$after" = "$before"
check "the guest still answers" answers 10.0.2.17
check "flush" c rules flush
