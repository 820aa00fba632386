#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the system that is measured, and in its peer (collet.run=/bench/guest.sh): brings up its interface, runs net.c. Words of the command line: bench.address=ADDRESS  bench.peer=ADDRESS  bench.sink: be
# the other end  bench.obey: measure what Domain0 orders  bench.rows=a,b
for word in $(cat /proc/cmdline); do
    case $word in
    bench.address=*) address=${word#*=} ;;
    bench.peer=*) peer=${word#*=} ;;
    bench.rows=*) rows=$(echo "${word#*=}" | tr ',' ' ') ;;
    bench.sink) sink=1 ;;
    bench.obey) obey=obey ;;
    esac
done
nic=10.0.2.250
[ ! -e /sys/hypervisor/type ] || front=xen-netfront
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net $front; do
    [ ! -e "/bench/modules/$module.ko" ] || insmod "/bench/modules/$module.ko" 2>/dev/null
done
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/eth0 ] || sleep 1; done
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo up
ip addr add "$address/24" dev eth0
ip link set eth0 up
arp -s $nic 52:55:0a:00:02:fa
ip route add default via $nic
if [ -n "$sink" ]; then
    iperf3 -s -D >/dev/null 2>&1
    echo "net: sink"
    exec /bench/net sink
fi
if [ -z "$peer" ]; then
    # No other system: loopback.
    peer=127.0.0.1
    iperf3 -s -D >/dev/null 2>&1
    /bench/net sink &
fi
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    ! ping -c 1 -W 1 "$peer" >/dev/null 2>&1 || break
    sleep 1
done
sleep 1
# shellcheck disable=SC2086 # lists of words
/bench/net $obey $nic "$peer" $rows
