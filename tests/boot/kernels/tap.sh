#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The kernel `net` with a card whose wire is a TAP device of this host: unlike QEMU's user network it has checksums and segmentation both ways, and several pairs of queues. In a network namespace of its own, where
# nothing of the host's network is touched. Lines as run-kernels.sh, whose options it takes.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.." || exit 2

if [ "${TAP_INSIDE:-}" != yes ]; then
    if ! unshare -n ip tuntap add dev ctap0 mode tap multi_queue vnet_hdr 2> /dev/null; then
        echo 'ok net-tap # SKIP no TAP device can be made here (root and /dev/net/tun are needed)'
        exit 0
    fi
    mkdir -p build/kernels
    ${CC:-cc} -O2 -Wall -Wextra -Werror -o build/kernels/tap-peer "$here/tap-peer.c" || exit 2
    exec env TAP_INSIDE=yes unshare -n "$0" "$@"
fi

ip link set lo up
ip tuntap add dev ctap0 mode tap multi_queue vnet_hdr || exit 2
ip link set ctap0 address 02:00:00:00:00:02
ip addr add 10.0.2.2/24 dev ctap0
ip link set ctap0 up
build/kernels/tap-peer ctap0 &
peer=$!
trap 'kill $peer 2> /dev/null' EXIT
"$here/run-kernels.sh" --tap "$@" 'net-tap*'
