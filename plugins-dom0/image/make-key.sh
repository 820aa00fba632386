#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A key for secure shell into the machine of `make run` and of the tests, made once; and what `ssh -F` wants to know.
#
#   make-key.sh FOLDER [PORT]
#
#   FOLDER/id, id.pub     the key; without a passphrase: it opens only emulated machines, on this host's loopback
#   FOLDER/config         hosts dom0, and guest16 ... guest19 (10.0.2.16 ...), forwarded to PORT (2222), PORT + 1 ...
#   FOLDER/key.cpio       a ramdisk archive that lets the key in
set -eu

here=$(cd "$(dirname "$0")" && pwd)
port=${2:-2222}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ -e "$folder/id" ] || ssh-keygen -q -t ed25519 -N '' -C collet -f "$folder/id"
{
    # Its host keys are made at each start, since its file system is a ramdisk: nothing to remember.
    printf '%s\n' 'Host *' '    User root' '    HostName 127.0.0.1' "    IdentityFile $folder/id" '    IdentitiesOnly yes' '    StrictHostKeyChecking no' \
        '    UserKnownHostsFile /dev/null' '    LogLevel ERROR' 'Host dom0' "    Port $port"
    for number in 16 17 18 19; do
        printf '%s\n' "Host guest$number" "    Port $((port + number - 15))"
    done
} >"$folder/config"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/etc"
cp "$folder/id.pub" "$stage/etc/ssh-key.pub"
"$here/pack.sh" "$stage" "$folder/key.cpio.new"
if cmp -s "$folder/key.cpio.new" "$folder/key.cpio"; then rm "$folder/key.cpio.new"; else mv "$folder/key.cpio.new" "$folder/key.cpio"; fi
