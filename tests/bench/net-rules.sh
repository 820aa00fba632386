#!/bin/sh
# SPDX-License-Identifier: MIT
#
# N mixed rules for the network benchmark, in Collet's rule language, the same for the same N: prefixes, hosts, ports and ranges, protocols, interfaces. None of them is for the benchmark's own packets but by prefixes
# that hold their source and not their destination: they have to be told apart.
#
#   net-rules.sh N
awk -v n="$1" 'BEGIN {
    srand(5)
    for (i = 0; i < n; i++) {
        action = rand() < 0.7 ? "drop" : "accept"
        direction = rand() < 0.6 ? "out" : "in"
        on = rand() < 0.3 ? " on a" : rand() < 0.2 ? " on nic0" : ""
        proto = rand() < 0.5 ? "tcp" : "udp"
        from = rand() < 0.3 ? "any" : rand() < 0.3 ? "10.0.2.0/24" : sprintf("10.%d.%d.0/%d", 1 + rand() * 200, rand() * 256, 16 + rand() * 9)
        # Host bits are zero below.
        split(from, part, "[./]")
        if (part[5] != "") { if (part[5] < 24) part[3] -= part[3] % (2 ^ (24 - part[5])); from = part[1] "." part[2] "." part[3] ".0/" part[5] }
        to = sprintf("%d.%d.%d.%d", 11 + rand() * 200, rand() * 256, rand() * 256, 1 + rand() * 250)
        if (rand() < 0.4) { sub(/[0-9]+$/, "0", to); to = to "/24" }
        port = rand() < 0.2 ? "" : rand() < 0.3 ? sprintf(" port %d-%d", (p = 1 + int(rand() * 30000)), p + int(rand() * 2000)) : sprintf(" port %d", 1 + rand() * 60000)
        printf "%s %s%s proto %s from %s to %s%s\n", action, direction, on, proto, from, to, port
    }
}'
