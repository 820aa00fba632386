#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Pack a folder as a ramdisk archive (cpio newc), owned by root, the same bytes for the same files.
#
#   pack.sh FOLDER OUTPUT
#
# Archives may be appended to each other: the kernel unpacks them in turn. That is how tests add their files to Domain0's ramdisk.
set -eu
output=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$1"
chmod 755 . # mktemp makes folders that nobody else may enter, and this one becomes /
find . -exec touch -h -d @0 {} +
find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet >"$output.partial"
mv "$output.partial" "$output"
