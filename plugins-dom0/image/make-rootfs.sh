#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A Debian system for guests: FOLDER/rootfs.ext4, a file system of SIZE MiB (sparse), and FOLDER/rootfs.initrd, the initial ramdisk that Debian's own update-initramfs made in it.
#
#   make-rootfs.sh FOLDER CACHE [PUBLIC-KEY]      (that root may come in with, by secure shell)
#
# mmdebstrap puts it together from Debian's mirror, also for an ordinary user (package uidmap, an entry in /etc/subuid). systemd, udev, a login on every console, no password for
# root. The kernel's files are those of the package that Domain0 starts guests with, without drivers for hardware that no guest has; fio is there as in Domain0.
set -eu

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cache=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
size=${SIZE:-640}
key=${3:-}

pool=$(mktemp -d)
stage=$pool/extra
trap 'rm -rf "$pool"' EXIT
# mmdebstrap's user is another one.
chmod 755 "$pool" && mkdir -p "$stage"
# shellcheck source=plugins-dom0/image/pick.sh
. "$here/pick.sh"

[ "$(id -u)" = 0 ] || grep -q "^$(id -un):" /etc/subuid 2>/dev/null || {
    echo "make-rootfs: an ordinary user needs an entry in /etc/subuid and /etc/subgid for this; please run:" >&2
    echo "    sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)" >&2
    exit 1
}
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | awk '$1 == "bookworm" { print $2; exit }')
mirror=${mirror:-http://deb.debian.org/debian}

kernel=$("$here/fetch-deb.sh" "$cache" "$(kernel_package linux-image-amd64)")
version=$(ls "$kernel/lib/modules")
fio=$("$here/fetch-deb.sh" "$cache" fio)
echo "  ROOTFS  the kernel's modules, $version"
mkdir -p "$stage/boot" "$stage/lib/modules/$version/kernel/drivers/net" "$stage/lib/modules/$version/kernel/drivers/scsi"
cp "$kernel"/boot/config-* "$kernel"/boot/System.map-* "$kernel"/boot/vmlinuz-* "$stage/boot/"
modules=$kernel/lib/modules/$version
cp "$modules"/modules.* "$stage/lib/modules/$version/"
for part in arch block crypto fs lib mm net drivers/block drivers/char drivers/md drivers/virtio drivers/xen drivers/net/xen-netfront.ko drivers/net/virtio_net.ko drivers/net/tun.ko drivers/scsi/scsi_mod.ko; do
    [ ! -e "$modules/kernel/$part" ] || cp -r "$modules/kernel/$part" "$stage/lib/modules/$version/kernel/$part"
done
rm -rf "$stage/lib/modules/$version/kernel/arch/x86/kvm"
"$here/make-fio.sh" "$stage" "$fio"
mkdir -p "$stage/etc/apt/apt.conf.d" "$stage/etc/initramfs-tools/conf.d" "$stage/usr/share/initramfs-tools/modules.d" "$stage/etc/systemd/system"
# The ramdisk needs the root file system's drivers only: a small one starts faster.
printf 'MODULES=list\nCOMPRESS=gzip\nFSTYPE=ext4\n' >"$stage/etc/initramfs-tools/conf.d/collet"
printf '%s\n' xen_blkfront virtio_pci virtio_blk ext4 crc32c_generic >"$stage/usr/share/initramfs-tools/modules.d/collet"
echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$stage/etc/fstab"
echo debian >"$stage/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 debian\n' >"$stage/etc/hosts"
# Secure shell by the key that Domain0 is entered with, too.
mkdir -p "$stage/etc/systemd/network/70-eth0.network.d" "$stage/etc/systemd/system/multi-user.target.wants"
cp "$here/ssh-up" "$stage/etc/ssh-up"
[ -z "$key" ] || cp "$key" "$stage/etc/ssh-key.pub"
printf '%s\n' '[Unit]' 'Description=Secure shell' '[Service]' 'ExecStart=/etc/ssh-up -F -E' >"$stage/etc/systemd/system/ssh.service"
ln -s ../ssh.service "$stage/etc/systemd/system/multi-user.target.wants/"
# Addresses come by the words ip= on the kernel's command line; where an IPv6 address is given there, there is no other.
printf '%s\n' '[Network]' 'IPv6AcceptRA=no' >"$stage/etc/systemd/network/70-eth0.network.d/addresses.conf"
echo 'nameserver 10.0.2.3' >"$stage/etc/resolv.conf"
tar -C "$stage" --owner=0 --group=0 -cf "$pool/extra.tar" .
chmod 644 "$pool/extra.tar"

echo "  ROOTFS  packages from $mirror: a minute or two"
cat >"$pool/finish" <<'END'
#!/bin/sh
set -eu
root=$1
tar -C "$root" -xf "$2" --keep-directory-symlink
chroot "$root" depmod "$3"
chroot "$root" update-initramfs -c -k "$3" >/dev/null
chroot "$root" passwd -q -d root
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-network-generator.service
chroot "$root" systemctl --quiet mask systemd-networkd-wait-online.service
# Nothing of these has work to do here.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service
# Consoles are read by scripts, too: no markers around pasted text.
echo 'set enable-bracketed-paste off' >>"$root/etc/inputrc"
: >"$root/etc/machine-id"
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
# What systemd does at a first start (ldconfig, catalogues) is done here: an emulated processor is slow.
chroot "$root" ldconfig
chroot "$root" journalctl --update-catalog >/dev/null 2>&1 || true
touch -r "$root/usr" "$root/etc/.updated" "$root/var/.updated"
END
chmod 755 "$pool/finish"
packages=systemd-sysv,udev,dbus,kmod,initramfs-tools-core,initramfs-tools,e2fsprogs,fdisk,procps,libaio1,libnuma1,iproute2,dropbear-bin,iperf3,iputils-ping,busybox-static,tcpdump
mmdebstrap --quiet --variant=minbase --include="$packages" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$pool/finish \"\$1\" $pool/extra.tar $version" --format=tar bookworm - "$mirror" >"$pool/rootfs.tar"

echo "  ROOTFS  $folder/rootfs.ext4"
rm -f "$folder/rootfs.partial"
# For root's files an ordinary user needs fakeroot; names and owners go into the file system as they are in the archive.
as_root=
[ "$(id -u)" = 0 ] || as_root=fakeroot
export pool folder size version
$as_root sh -eu -c '
    mkdir "$pool/root"
    tar -C "$pool/root" --numeric-owner -xf "$pool/rootfs.tar"
    cp "$pool/root/boot/initrd.img-$version" "$folder/rootfs.initrd"
    chmod 644 "$folder/rootfs.initrd"
    truncate -s "${size}M" "$folder/rootfs.partial"
    mkfs.ext4 -q -F -L root -m 1 -E lazy_itable_init=0,lazy_journal_init=0 -d "$pool/root" "$folder/rootfs.partial"'
mv "$folder/rootfs.partial" "$folder/rootfs.ext4"
