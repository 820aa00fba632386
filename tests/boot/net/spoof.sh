# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: a guest that lies about its addresses gains nothing: it is refused, counted, and nobody believes it.
. /test/net-lib.sh

mac_0=$(cat /sys/class/net/eth0/address)
lie() { guest a 15 "peer raw eth0 $*"; }
own=$(guest a 15 'cat /sys/class/net/eth0/address' | tail -n 1)
other=$(guest b 15 'cat /sys/class/net/eth0/address' | tail -n 1)
check "addresses are known: $own, $other" test "${#own}${#other}" = 1717
# The kernel behind the frames says nothing of its own in that time.
export by=10
refused_lie() { more a.0 .tx.dropped.spoofed lie "$@"; }
check "a frame from another MAC" refused_lie udp "$other" "$mac_0" 10.0.2.16 10.0.2.15
check "a datagram from another's IPv4 address" refused_lie udp "$own" "$mac_0" 10.0.2.17 10.0.2.15
check "from an address of the outside" refused_lie udp "$own" "$mac_0" 8.8.8.8 10.0.2.15
check "from another's IPv6 address" refused_lie udp "$own" "$mac_0" fec0::17 fec0::15
check "an ARP announcement of another's address" refused_lie arp "$own" 10.0.2.17 10.0.2.15
check "of the gateway's address" refused_lie arp "$own" 10.0.2.2 10.0.2.15
check "an advertisement of another's IPv6 address" refused_lie na "$own" fec0::17
check "Domain0 has not believed any of it" sh -c "! ip neigh show dev eth0 | grep -i '$own' | grep -vE '10.0.2.16 |fec0::16 |fe80::'"
check "an honest datagram goes through" guest a 15 "peer raw eth0 udp $own $mac_0 10.0.2.16 10.0.2.15"
theft() { guest a 20 'ip addr add 10.0.2.17/32 dev eth0; ! ping -c 2 -W 1 -I 10.0.2.17 10.0.2.15; s=$?; ip addr del 10.0.2.17/32 dev eth0; [ $s = 0 ]'; }
check "a guest that takes another's address talks to nobody by it" theft
check "and the other one is still where it was" answers 10.0.2.17
changed() { guest a 25 "ip link set eth0 down; ip link set eth0 address 00:16:3e:66:66:66; ip link set eth0 up; ip route add default via 10.0.2.2; ! ping -c 2 -W 1 10.0.2.15; s=\$?; ip link set eth0 down; ip link set eth0 address $own; ip link set eth0 up; ip route add default via 10.0.2.2; [ \$s = 0 ]"; }
check "a guest that changes its MAC talks to nobody" changed
check "with its own again it is back" within 15 answers 10.0.2.16
