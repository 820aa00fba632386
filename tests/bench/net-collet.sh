#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in Domain0 of Collet: two guests and the router. First all rows without rules, then some with a capture that matches nothing, then with rule sets of many sizes (/bench/rules-N).
while ! collet daemon >/dev/null 2>&1; do sleep 1; done
sleep 2
guest() { # NAME NUMBER WORDS
    cat >"/tmp/$1.ini" <<INI
[domain]
name = $1
kernel = /boot/debian.vmlinuz
ramdisk = /bench/guest.cpio
cmdline = console=hvc0 quiet nopvspin collet.nonet collet.run=/bench/guest.sh bench.address=10.0.2.$2 $3
memory = 192M
vcpus = 1
[vif 0]
mac = 00:16:3e:00:00:$2
ip = 10.0.2.$2
INI
    collet create "/tmp/$1.ini" >/tmp/create.out 2>&1 || { cat /tmp/create.out; exit 1; }
}
rows=
for word in $(cat /proc/cmdline); do
    case $word in
    bench.rows=*) rows=$(echo "${word#*=}" | tr ',' ' ') ;;
    esac
done
guest b 17 bench.sink
guest a 16 "bench.peer=10.0.2.17 bench.obey"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    ! ping -c 1 -W 1 10.0.2.16 >/dev/null 2>&1 || break
    sleep 2
done
# The guest's program is there when it has found its peer.
sleep 6
order() {
    /bench/net order 10.0.2.16 "$*" || echo "bench: no answer to: $*"
}
for row in ${rows:-udp-64-nic udp-1400-nic udp-64-new udp-64-guest udp-1400-guest tcp-stream tcp-rr udp-rr iperf-tcp iperf-udp}; do
    order "$row"
done
collet vif list
wanted() {
    case " ${rows:-$1} " in
    *" $1 "*) ;;
    *) return 1 ;;
    esac
}
if wanted capture; then
    # Both without and with it here: guests' heaps change as they work, and what they take from them.
    for row in udp-64-nic udp-1400-nic; do
        order "$row no-capture"
    done
    collet capture a 'host 192.0.2.1 and port 99' -w /tmp/none.pcap >/tmp/capture.log 2>&1 &
    capture=$!
    sleep 3
    for row in udp-64-nic udp-1400-nic; do
        order "$row capture"
    done
    kill -INT $capture
fi
if wanted rules; then
    for n in 0 1 10 100 1000 10000; do
        [ -e "/bench/rules-$n" ] || continue
        timeout 200 collet rules load "/bench/rules-$n" || continue
        for row in udp-64-nic udp-64-new; do
            order "$row rules-$n"
        done
    done
    collet rules show | head -3
    collet rules flush
fi
/bench/net order 10.0.2.16 end
sleep 3
cat /var/log/collet/console/guest-a.log
