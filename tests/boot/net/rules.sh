# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: rule sets are checked, loaded in one step, counted, put back unless confirmed, replaced and taken away.
. /test/net-lib.sh

rules() { printf '%s\n' "$@" >/tmp/test.rules; }
load() { c rules load /tmp/test.rules "$@"; }
check "without rules, a page of the guest's" says 'hello from a' page 10.0.2.16
rules 'drop in on a proto tcp from any to any port 80 label "no-web"'
check "collet rules check" c rules check /tmp/test.rules
check "load" load
check "now there is no page" no_page 10.0.2.16
check "but all else" answers 10.0.2.16
check "and another guest's page" says 'hello from b' page 10.0.2.17
counted() { c rules show --json >/tmp/shown; cat /tmp/shown; jq -e '[.. | objects | select(has("packets")) | .packets] | add > 0' /tmp/shown; }
check "collet rules show counts" counted
printf 'accept in\ndorp in on a\n' >/tmp/bad.rules
check "a set with a mistake is refused, with its place and a suggestion" refused 1 'bad.rules:2:1.*drop|drop' c rules load /tmp/bad.rules
check "and the old one judges" no_page 10.0.2.16
rules 'reject in on a proto tcp from any to any port 80'
check "load one that rejects" load
rejected() { started=$(uptime_cs); ! page 10.0.2.16 && [ $(($(uptime_cs) - started)) -lt 300 ]; }
check "the answer is no, at once" rejected
rules 'accept in on a arp' 'accept in on a state established' 'accept in on a proto icmp' 'drop in on a'
check "load one that lets in what was asked for" load
check "nobody comes in" no_page 10.0.2.16
check "it goes out, and has answers" says 'hello from b' guest a 20 'peer page 10.0.2.17'
check "flush" c rules flush
check "now anybody comes in again" says 'hello from a' page 10.0.2.16
rules 'drop in on a proto tcp from any to any port 80'
check "load on trial, for 6 seconds" load --confirm 6
check "it judges" no_page 10.0.2.16
check "nobody confirms it: the old state is back" within 15 page 10.0.2.16
check "load on trial again" load --confirm 20
check "confirm" c rules confirm
sleep 2
check "it stays" no_page 10.0.2.16
twice() { c rules load /tmp/test.rules && c rules load /tmp/test.rules && counted; }
check "the same rules again: counts outlive it" twice
many() { for _ in 1 2 3 4 5 6 7 8 9 10; do c rules load /tmp/test.rules >/dev/null && c rules flush >/dev/null || return 1; done; }
check "flush" c rules flush
check "connections are tracked" c flows --track on
guest_begin b "peer tcp 10.0.2.16 12000000 12000000"
check "ten sets one after the other during a transfer" many
check "whose contents are right" guest_end b 90
check "flows are listed" says '10.0.2.1[67]' c flows
check "and tracked no more" c flows --track off
