#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Domain0's kernel and ramdisk: FOLDER/vmlinux and FOLDER/dom0.cpio, of the versions that apt names today.
#
#   build.sh FOLDER
#
# FOLDER/version says what is there; when it is today's, nothing is done.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

kernel_package() {
    apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1
}

"$here/fetch-deb.sh" "$folder/packages" linux-image-amd64 >/dev/null # brings the package lists if there are none
package=$(kernel_package)
[ -n "$package" ] || { echo "build.sh: linux-image-amd64 names no kernel" >&2; exit 1; }
kernel=$("$here/fetch-deb.sh" "$folder/packages" "$package")
busybox=$("$here/fetch-deb.sh" "$folder/packages" busybox-static)
version="$(basename "$kernel") $(basename "$busybox") $(cat "$here"/init "$here"/inittab "$here"/profile "$here"/stop "$here"/network-up "$here"/*.sh | cksum)"

if [ -e "$folder/vmlinux" ] && [ -e "$folder/dom0.cpio" ] && [ "$(cat "$folder/version" 2>/dev/null)" = "$version" ]; then
    touch "$folder/vmlinux" "$folder/dom0.cpio"
    exit 0
fi
set -- "$kernel"/boot/vmlinuz-*
echo "  KERNEL  $(basename "$1")" >&2
"$here/extract-vmlinux.sh" "$1" "$folder/vmlinux"
cp "$1" "$folder/vmlinuz"
echo "  INITRD  $folder/dom0.cpio" >&2
"$here/make-initramfs.sh" "$folder/dom0.cpio" "$busybox" "$kernel"
echo "$version" >"$folder/version"
