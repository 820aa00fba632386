#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in Domain0 of Collet: a guest whose disk is the whole first disk of the machine.
while ! collet daemon >/dev/null 2>&1; do sleep 1; done
sleep 2
cat >/tmp/guest.ini <<INI
[domain]
name = guest
kernel = /boot/debian.vmlinuz
ramdisk = /bench/guest.cpio
cmdline = console=hvc0 quiet nopvspin collet.run=/bench/guest.sh $(tr ' ' '\n' </proc/cmdline | grep '^bench' | tr '\n' ' ')
memory = 256M
vcpus = 1
[vbd root]
backing = disk:disk0
device = xvda
INI
collet disk show disk0
runs() { collet list --json | tr ',{' '\n\n' | grep -A 30 '"Domain-0"' | grep -m 1 runs_ns; }
collet create /tmp/guest.ini || exit 1
collet console guest </dev/null &
# Asks seldom: what Domain0 itself does is counted, too.
while sleep 20; collet list | grep -q ' guest '; do :; done
collet disk show disk0
echo "Domain0: $(collet list --json | tr -d '\n ')"
