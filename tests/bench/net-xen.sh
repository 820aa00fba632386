#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in Domain0 of Xen: Debian's toolstack makes the two guests, xen-netback and a bridge join them and the card.
export LD_LIBRARY_PATH=/lib/x86_64-linux-gnu
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net llc stp bridge xen-gntdev xen-netback; do
    insmod "/bench/modules/$module.ko"
done
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
brctl addbr xenbr0
brctl addif xenbr0 eth0
ip link set eth0 up
ip link set xenbr0 up
xen=/usr/lib/xen-4.17/bin
mkdir -p /var/lock /var/run/xen /var/lib/xen /var/log/xen /etc/xen/scripts
$xen/xenstored --pid-file /run/xenstored.pid
xenstore-write /local/domain/0/name Domain-0
$xen/xenconsoled --pid-file=/run/xenconsoled.pid
$xen/xen-init-dom0
# All that libxl's own bridge script does. A frame for an address that the bridge has not seen goes to the card only.
cat >/etc/xen/scripts/vif-bench <<'SCRIPT'
#!/bin/sh
[ "$1" = online ] || exit 0
brctl addif xenbr0 "$vif"
echo 0 >"/sys/class/net/$vif/brport/unicast_flood"
ip link set "$vif" up
xenstore-write "$XENBUS_PATH/hotplug-status" connected
SCRIPT
chmod 755 /etc/xen/scripts/vif-bench
guest() { # NAME NUMBER WORDS
    cat >"/bench/$1.cfg" <<CFG
name = "$1"
kernel = "/boot/vmlinuz"
ramdisk = "/bench/guest.cpio"
cmdline = "console=hvc0 quiet nopvspin collet.nonet collet.run=/bench/guest.sh bench.address=10.0.2.$2 $3 $(tr ' ' '\n' </proc/cmdline | grep '^bench' | tr '\n' ' ')"
memory = 192
vcpus = 1
tsc_mode = "native"
vif = [ "mac=00:16:3e:00:00:$2,bridge=xenbr0,script=vif-bench" ]
on_poweroff = "destroy"
on_crash = "destroy"
CFG
}
guest b 17 bench.sink
guest a 16 bench.peer=10.0.2.17
ln -sf $xen/xenconsole /usr/bin/xenconsole
# Both are made before one runs: with a guest at work, xl's unpacking of the second kernel has been seen to fail under emulation.
$xen/xl create -p /bench/b.cfg
$xen/xl create -p /bench/a.cfg
$xen/xl unpause b
$xen/xl unpause a
$xen/xl console a
