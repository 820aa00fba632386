# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0: its own interface, two guests, everybody reaches everybody: ARP and neighbour discovery, IPv4 and IPv6, the gateway.
. /test/net-lib.sh

dom0_up() { ip addr show dev eth0 | grep -q 'inet 10.0.2.15/24' && ip addr show dev eth0 | grep -q 'inet6 fec0::15/64'; }
check "Domain0 has its interface and its addresses" within 30 dom0_up
check "Domain0 reaches the gateway" within 20 answers 10.0.2.2
check "and by IPv6" within 20 answers fec0::2
peer serve >/tmp/peer.log 2>&1 &
net_guest a 16
net_guest b 17
check "create a guest" env limit=120 timeout 120 collet create /tmp/a.ini
check "and another" timeout 120 collet create /tmp/b.ini
said_hello() { within 120 spoke "$1" "domU: hello $1"; }
check "the first comes up" said_hello a
check "the second, too" said_hello b
check "its network is as its command line says" says 'inet 10.0.2.16/24' guest a 15 'ip addr show dev eth0; cat /tmp/network-up.log'
check "Domain0 reaches the first" within 10 answers 10.0.2.16
check "and the second" within 10 answers 10.0.2.17
check "by IPv6" within 10 answers fec0::16
check "the second by IPv6" within 10 answers fec0::17
check "the first reaches the second" says ' 0% packet loss' guest_ping a 10.0.2.17
check "the second the first" says ' 0% packet loss' guest_ping b 10.0.2.16
check "by IPv6" says ' 0% packet loss' guest_ping a fec0::17
check "a guest reaches the gateway" says ' 0% packet loss' guest_ping a 10.0.2.2
check "by IPv6" says ' 0% packet loss' guest_ping b fec0::2
check "and Domain0" says ' 0% packet loss' guest_ping b 10.0.2.15
check "collet vif list shows all three" sh -c 'collet vif list >/tmp/vifs; cat /tmp/vifs; grep -q "Domain-0.0" /tmp/vifs && grep -q "^ *a\.0" /tmp/vifs && grep -q "^ *b\.0" /tmp/vifs'
check "collet nic list shows the card" says 'nic0' c nic list
