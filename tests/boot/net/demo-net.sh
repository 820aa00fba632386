# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# Runs in Domain0 for `make demo`: two guests on the router. One serves a page to the host; the other lies about its address, scans and floods. Rules stop it; counters and captures show it.
. /test/net-lib.sh

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; sh -c "$*"; }
part() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
failed=0
wrong() { echo "WRONG: $*"; failed=1; }

part "Two unmodified guests on the router: web serves a page to the world, guest is up to no good"
net_guest web 16
net_guest guest 17
say cat /tmp/web.ini
for name in web guest; do
    limit=120 c create "/tmp/$name.ini" >/tmp/created 2>&1 || wrong "create $name: $(cat /tmp/created)"
done
for name in web guest; do
    within 150 spoke $name "domU: hello $name" || wrong "$name comes up"
done
within 20 answers 10.0.2.16 || wrong "web answers"
say collet nic list
say collet vif list
host_turn page

part "A rule file: read, checked, loaded in one step, for a minute unless somebody confirms it"
cat >/tmp/web.rules <<'RULES'
# What may come in to web.
accept in on web arp
accept in on web proto icmp6
drop   in on web portscan 10                                 label "scans"
accept in on web state established
accept in on web proto tcp to any port 80 limit 20/s burst 40 label "pages"
drop   in on web proto tcp to any port 80                    label "too many"
accept in on web proto icmp limit 5/s
drop   in on web                                             label "all else"
RULES
say cat /tmp/web.rules
say collet rules check /tmp/web.rules || wrong "check"
say collet rules load --confirm 60 /tmp/web.rules || wrong "load"
answers 10.0.2.16 || wrong "web answers by the rules"
say collet rules confirm || wrong "confirm"
for kind in all blocked; do
    dropped=
    [ $kind = all ] || dropped=--dropped
    (timeout 200 collet capture web,guest $dropped -w /tmp/$kind.pcapng >/tmp/$kind.log 2>&1; echo $? >/tmp/$kind.status) &
    within 15 test -e /tmp/$kind.pcapng || wrong "capture of $kind: $(cat /tmp/$kind.log)"
done
sleep 3

part "guest lies: datagrams and ARP in web's name"
own=$(guest guest 15 'cat /sys/class/net/eth0/address' | tail -n 1)
guest guest 30 "peer raw eth0 arp $own 10.0.2.16 10.0.2.15; peer raw eth0 udp $own 52:55:0a:00:02:02 10.0.2.16 10.0.2.2" || wrong "lies are sent"
spoofed=$(vif_number guest.0 .tx.dropped.spoofed)
echo "refused as spoofed: $spoofed"
[ "$spoofed" -ge 20 ] || wrong "20 lies are refused"
part "guest asks for the page far too often, and then knocks at every door"
guest guest 60 'peer knock 10.0.2.16 80 80 150' || wrong "flood"
guest guest 60 'peer knock 10.0.2.16 1 60 1; peer page 10.0.2.16 || echo "and it has no page either: it is known as a scanner"' || wrong "scan"
host_turn page-by-rules
printf '\n---- what was seen: network ----\n'
say collet rules show
say collet vif show guest.0
say collet flows web
part "Captures, for Wireshark"
killall -INT collet
sleep 3
ls -l /tmp/all.pcapng /tmp/blocked.pcapng
host_turn captures
counted() { c rules show --json | jq -e --arg name "$1" "[.rules[] | select(.name == \$name) | .packets] | add > 0" >/dev/null || wrong "the rule \"$1\" has counted"; }
for label in scans pages "too many"; do
    counted "$label"
done
c destroy web guest >/dev/null 2>&1
echo "demo of the network: $([ $failed = 0 ] && echo 'all as promised' || echo 'NOT as promised')"
exit $failed
