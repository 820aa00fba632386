#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Draw what net.sh counted: cost against number of rules, and the systems side by side.
#
#   net-plot.sh [FOLDER]       default: build/bench/net, where net.sh leaves its *.rows; net-rules.svg and net-systems.svg go there as well
#
# For comparison, what a rule costs each packet in Domain0 of the peer, where rules are tried in turn (linear): measured there with the same emulator, instructions a rule.
set -eu

out=${1:-${BUILD:-build}/bench/net}
bridge_cost=195 # nft, on the bridge
ip_cost=69      # nft, ip
iptables_cost=17 # iptables-legacy
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

value() { # system row
    awk -v row="$2" '$1 == row { print $2 }' "$out/$1.rows" 2>/dev/null || true
}
# x for "no rules" on a scale that has no zero
for n in 0 1 10 100 1000 10000; do
    later=$(value collet "udp-64-nic@rules-$n")
    first=$(value collet "udp-64-new@rules-$n")
    [ -z "$later" ] || echo "$([ $n = 0 ] && echo 0.2 || echo $n) $later ${first:--}"
done >"$data/rules"
base=$(value xen udp-64-nic)

if [ -s "$data/rules" ] && [ -n "$base" ]; then
    gnuplot <<GP
set terminal svg size 860,520 font "sans-serif,13" background rgb "white"
set output "$out/net-rules.svg"
set title "64 bytes from a guest to the card, by number of rules"
set logscale xy
set xlabel "rules"
set ylabel "instructions of the whole machine"
set xrange [0.15:11000]
set rmargin 25
set yrange [5000:3000000]
set xtics ("0" 0.2, "1" 1, "10" 10, "100" 100, "1000" 1000, "10000" 10000)
set ytics ("5 k" 5000, "10 k" 10000, "20 k" 20000, "50 k" 50000, "100 k" 100000, "200 k" 200000, "500 k" 500000, "1 M" 1000000, "2 M" 2000000)
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
unset key
b = $base
set label "Xen, nft on the bridge" at 12000, b + $bridge_cost * 10000. tc rgb "#b2182b"
set label "Xen, nft (ip)" at 12000, b + $ip_cost * 10000. tc rgb "#d6604d"
set label "Xen, iptables" at 12000, b + $iptables_cost * 10000. tc rgb "#b8860b"
stats "$data/rules" using 2 name "later" nooutput
stats "$data/rules" using 3 name "first" nooutput
set label "Collet, first packets" at 12000, 1.08 * first_max tc rgb "#2166ac"
set label "Collet, later packets" at 12000, 0.93 * later_min tc rgb "#4393c3"
set samples 400
rule(x, each) = x < 1 || x > 10000 ? NaN : b + each * x
plot rule(x, $bridge_cost) lc rgb "#b2182b" lw 2, rule(x, $ip_cost) lc rgb "#d6604d" lw 2, rule(x, $iptables_cost) lc rgb "#b8860b" lw 2, \
    "$data/rules" using 1:3 with linespoints lc rgb "#2166ac" lw 2.5 pt 7 ps 0.7, "$data/rules" using 1:2 with linespoints lc rgb "#4393c3" lw 2.5 pt 5 ps 0.6
GP
    echo "picture: $out/net-rules.svg"
fi

rows() { # file, divisor, row...
    file=$1
    divisor=$2
    shift 2
    for row in "$@"; do
        n=$(value native "$row")
        x=$(value xen "$row")
        c=$(value collet "$row")
        [ -z "$c" ] || echo "$row ${n:-nan} ${x:-nan} $c" | awk -v by="$divisor" '{ for (i = 2; i <= 4; i++) if ($i != "nan") $i /= by; print }'
    done >"$data/$file"
}
rows packets 1000 udp-64-nic udp-64-new udp-1400-nic udp-64-guest udp-1400-guest udp-rr tcp-rr
rows bytes 1 tcp-stream iperf-tcp iperf-udp
if [ -s "$data/packets" ] && [ -s "$data/bytes" ]; then
    gnuplot <<GP
set terminal svg size 1100,460 font "sans-serif,13" background rgb "white"
set output "$out/net-systems.svg"
set multiplot
set style data histograms
set style histogram clustered gap 1
set style fill solid 1 noborder
set boxwidth 0.9
set border 3
set tics nomirror
set grid ytics lc rgb "#dddddd"
set yrange [0:*]
set xtics rotate by -25 font ",11"
set key top left
set size 0.68, 1
set title "thousand instructions a datagram or round trip"
plot "$data/packets" using 2:xtic(1) title "native" lc rgb "#999999", "" using 3 title "Xen 4.17" lc rgb "#d6604d", "" using 4 title "Collet" lc rgb "#2166ac"
set origin 0.68, 0
set size 0.32, 1
unset key
set title "instructions a byte, guest to guest"
plot "$data/bytes" using 2:xtic(1) lc rgb "#999999", "" using 3 lc rgb "#d6604d", "" using 4 lc rgb "#2166ac"
unset multiplot
GP
    echo "picture: $out/net-systems.svg"
fi
