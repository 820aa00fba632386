#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in Domain0 of Xen: Debian's toolstack makes the guest that is measured, xen-blkback serves its disk from the virtio disk.
export LD_LIBRARY_PATH=/lib/x86_64-linux-gnu
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk xen-gntdev xen-blkback; do
    insmod "/bench/modules/$module.ko"
done
for _ in 1 2 3 4 5 6 7 8 9; do [ -b /dev/vda ] || sleep 1; done
xen=/usr/lib/xen-4.17/bin
mkdir -p /var/lock /var/run/xen /var/lib/xen /var/log/xen /etc/xen/scripts
$xen/xenstored --pid-file /run/xenstored.pid
xenstore-write /local/domain/0/name Domain-0
$xen/xenconsoled --pid-file=/run/xenconsoled.pid
$xen/xen-init-dom0
# All that libxl's own block script does for a whole disk. The data path is the kernel's.
cat >/etc/xen/scripts/block-bench <<'SCRIPT'
#!/bin/sh
[ "$1" = add ] || exit 0
xenstore-write "$XENBUS_PATH/physical-device" "$(printf '%x:%x' $(stat -c '0x%t 0x%T' /dev/vda))"
xenstore-write "$XENBUS_PATH/hotplug-status" connected
SCRIPT
chmod 755 /etc/xen/scripts/block-bench
cat >/bench/guest.cfg <<CFG
name = "guest"
kernel = "/boot/vmlinuz"
ramdisk = "/bench/guest.cpio"
cmdline = "console=hvc0 quiet nopvspin collet.run=/bench/guest.sh $(tr ' ' '\n' </proc/cmdline | grep '^bench' | tr '\n' ' ')"
memory = 256
vcpus = 1
tsc_mode = "native"
disk = [ "format=raw, vdev=xvda, access=rw, backendtype=phy, script=block-bench, target=/dev/vda" ]
on_poweroff = "destroy"
on_crash = "destroy"
CFG
ln -sf $xen/xenconsole /usr/bin/xenconsole
$xen/xl create -c /bench/guest.cfg
