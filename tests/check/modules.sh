#!/bin/sh
# SPDX-License-Identifier: MIT
# A policy module exports exactly one name, its table (<kind>_<name>), and needs only what <hv/env.h> offers.
set -eu
: "${CC:=gcc}"
bad=0
object=$(mktemp --suffix=.o)
trap 'rm -f "$object"' EXIT
for folder in sched vfr-rules blk-sched; do
    kind=$(echo "$folder" | sed 's/-.*//')
    for file in "$folder"/*.c; do
        case $file in
        */index.c | */test-*.c | *'*'*) continue ;;
        esac
        $CC -std=gnu11 -O2 -Wall -Wextra -Isdk/include -c -o "$object" "$file"
        wanted="${kind}_$(basename "$file" .c | tr - _)"
        exported=$(nm -g --defined-only "$object" | awk '{ print $3 }' | tr '\n' ' ')
        if [ "$exported" != "$wanted " ]; then
            echo "check-modules: $file exports '$exported', should export only '$wanted'"
            bad=1
        fi
        if grep -nE '#include *"(\.\./|.*hypervisor)' "$file"; then
            echo "check-modules: $file includes something of the hypervisor"
            bad=1
        fi
    done
done
exit $bad
