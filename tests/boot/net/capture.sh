# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: captures of one interface, of a domain, of what was dropped; the host looks at the files with tshark.
. /test/net-lib.sh

capture() { # FILE WORD...: begins
    file=$1
    shift
    (timeout 40 collet capture "$@" -w "$file" >"$file.log" 2>&1; echo $? >"$file.status") &
    sleep 2
}
ended() { [ "$(cat "$1.status" 2>/dev/null)" = 0 ]; }
capture /tmp/icmp.pcapng a 'icmp' -c 6
ping -c 3 -W 2 10.0.2.16 >/dev/null
page 10.0.2.16 >/dev/null
check "six packets of a ping are captured, and then it ends" within 20 ended /tmp/icmp.pcapng
printf '%s\n' 'drop in on a proto tcp from any to any port 80' >/tmp/test.rules
c rules load /tmp/test.rules >/dev/null
capture /tmp/dropped.pcapng a --dropped -c 2
no_page 10.0.2.16
no_page 10.0.2.16
check "what was dropped is captured" within 30 ended /tmp/dropped.pcapng
c rules flush >/dev/null
capture /tmp/stream.pcap nic0 'port 80' -c 8 -s 96
host_turn fetch
check "a stream is captured at the card, cut to 96 bytes" within 20 ended /tmp/stream.pcap
host_turn captures
