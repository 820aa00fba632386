# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# In Domain0, after basic.sh: streams and datagrams both ways at once, contents compared; segmentation by the other side; large and small; iperf3.
. /test/net-lib.sh

check "a stream between guests, both ways" guest a 90 'peer tcp 10.0.2.17 8000000 8000000'
check "by IPv6" guest b 90 'peer tcp fec0::16 3000000 5000000'
check "between Domain0 and a guest" timeout 90 peer tcp 10.0.2.16 4000000 4000000
check "by IPv6" timeout 90 peer tcp fec0::17 3000000 2000000
check "datagrams of 64 bytes" guest a 60 'peer udp 10.0.2.17 2000 64'
check "of 1400 bytes" guest b 60 'peer udp 10.0.2.16 2000 1400'
check "by IPv6" guest a 60 'peer udp fec0::17 1000 1400'
check "datagrams in fragments" guest a 60 'peer udp 10.0.2.17 200 9000'
check "datagrams between Domain0 and a guest" timeout 60 peer udp 10.0.2.16 1000 1000
segmented() { # the sender gives large frames, the receiver takes them
    packets=$(vif_number "$1" .tx.packets)
    segments=$(vif_number "$1" .tx.segments)
    echo "$packets packets of $segments segments"
    [ "$segments" -gt $((packets * 2)) ]
}
check "guests send segments of several at once" segmented a.0
check "to the host and back, contents compared" guest a 90 "PEER_PORT=$(sed 's/.*test.port=\([0-9]*\).*/\1/' /proc/cmdline) peer tcp 10.0.2.2 3000000 3000000"
check "datagrams to the host and back" guest b 60 "PEER_PORT=$(sed 's/.*test.port=\([0-9]*\).*/\1/' /proc/cmdline) peer udp 10.0.2.2 300 1000"
iperf3 -s -D >/tmp/iperf3.log 2>&1
check "iperf3, a stream to Domain0" says 'receiver' guest a 40 'iperf3 -c 10.0.2.15 -t 3 -f M'
check "iperf3, the other way" says 'receiver' guest a 40 'iperf3 -c 10.0.2.15 -t 3 -R -f M'
check "iperf3, datagrams" says 'receiver' guest b 40 'iperf3 -c 10.0.2.15 -u -b 8M -t 3 -f M'
killall iperf3 2>/dev/null
