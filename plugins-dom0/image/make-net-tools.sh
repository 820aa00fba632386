#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A ramdisk archive for Domain0 with what looks after a network: dropbear (secure shell, both ends), tcpdump, iperf3, ip, ethtool; and /boot/net.cpio, a ramdisk for guests with
# iperf3: the quick guests' one (domu/) and the program with its libraries.
#
#   make-net-tools.sh OUTPUT CACHE DOMU-ARCHIVE      (DOMU-ARCHIVE: what make-domu.sh made, with boot/domu.cpio in it)
set -eu

output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cache=$2
domu=$(cd "$(dirname "$3")" && pwd)/$(basename "$3")
here=$(cd "$(dirname "$0")" && pwd)

stage=$(mktemp -d)
pool=$(mktemp -d)
trap 'rm -rf "$stage" "$pool"' EXIT
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"

# Only for passwords of iperf3 and keys of IPsec in tcpdump: five megabytes that nobody misses.
no_crypto() {
    stand_in libcrypto.so.3 OPENSSL_3.0.0 "$pool/lib/libiperf.so.0" "$@"
}

# ---- the guests' part ----
root=$stage
stage=$pool/guest
pick_from "$cache" libc6 iperf3 libiperf0 libsctp1
program usr/bin/iperf3
no_crypto
needs_of_all
"$here/pack.sh" "$stage" "$pool/guest.cpio"
mkdir -p "$root/boot"
(cd "$pool" && cpio -i --quiet --to-stdout boot/domu.cpio <"$domu" | cat - "$pool/guest.cpio") >"$root/boot/net.cpio"

# ---- Domain0's ----
stage=$root
pick_from "$cache" libc6 dropbear-bin libcrypt1 libtomcrypt1 libtommath1 libgmp10 zlib1g tcpdump libpcap0.8 libcap2 \
    iperf3 libiperf0 libsctp1 iproute2 libbpf1 libbsd0 libmd0 libelf1 libmnl0 libselinux1 libpcre2-8-0 libxtables12 ethtool
pcap_library
program usr/sbin/dropbear
program usr/bin/dropbearkey
program usr/bin/dbclient
ln -s dbclient "$stage/usr/bin/ssh"
program usr/bin/tcpdump
program usr/bin/iperf3
program bin/ip sbin/ip
program sbin/ethtool usr/sbin/ethtool
no_crypto "$stage/usr/bin/tcpdump"
mkdir -p "$stage/etc/dropbear"
cp "$here/ssh-up" "$stage/etc/ssh-up"
needs_of_all
"$here/pack.sh" "$stage" "$output"
