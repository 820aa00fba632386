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
collet create /tmp/guest.ini >/tmp/create.out 2>&1 || { cat /tmp/create.out; exit 1; }
# Asks seldom: what Domain0 itself does is counted, too. Once in the middle of it all: what Domain0 has run, and how many requests there were.
asked=
while sleep 10 && collet list >/tmp/list && grep -q guest /tmp/list; do
    [ -n "$asked" ] || ! grep -q '^batch' /var/log/collet/console/guest-guest.log || { asked=1; grep Domain-0 /tmp/list; collet vbd show guest root | head -20; }
done
cat /var/log/collet/console/guest-guest.log
collet disk show disk0
