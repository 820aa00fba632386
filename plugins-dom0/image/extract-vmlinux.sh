#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Take the ELF kernel out of a bzImage.
#
#   extract-vmlinux.sh VMLINUZ OUTPUT
#
# The setup header says where the compressed payload lies: setup_sects at 0x1f1, payload_offset at 0x248 (counted from the
# protected-mode part), payload_length at 0x24c. Its first bytes tell the packer. The last four bytes of the payload are the
# unpacked size, appended by the kernel's build, which the unpackers report as trailing rubbish.
set -eu

image=$1
output=$2

number_at() { # offset, bytes
    od -An -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '
}

[ "$(dd if="$image" bs=1 skip=514 count=4 2>/dev/null)" = HdrS ] || { echo "extract-vmlinux: $image is not a bzImage" >&2; exit 1; }
setup_sectors=$(number_at 497 1)
[ "$setup_sectors" != 0 ] || setup_sectors=4
start=$(((setup_sectors + 1) * 512 + $(number_at 584 4)))
length=$(number_at 588 4)

payload() {
    tail -c "+$((start + 1))" "$image" | head -c "$length"
}

case $(payload | od -An -t x1 -N 6 | tr -d ' ') in
fd377a585a00) unpack='xz -dc --single-stream' ;;
28b52ffd*) unpack='zstd -dc' ;;
1f8b*) unpack='gzip -dc' ;;
02214c18* | 04224d18*) unpack='lz4 -dc' ;;
425a68*) unpack='bzip2 -dc' ;;
*) echo "extract-vmlinux: unknown packer in $image" >&2; exit 1 ;;
esac

payload | head -c -4 | $unpack >"$output.partial" 2>/dev/null || true
[ "$(head -c 4 "$output.partial" | od -An -t x1 | tr -d ' ')" = 7f454c46 ] || { echo "extract-vmlinux: no ELF in $image" >&2; exit 1; }
mv "$output.partial" "$output"
