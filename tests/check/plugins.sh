#!/bin/sh
# SPDX-License-Identifier: MIT
# A plugin (.so) exports exactly one name, collet_plugin.
set -eu
bad=0
for file in "$@"; do
    exported=$(nm -D --defined-only "$file" | awk '{ print $3 }' | tr '\n' ' ')
    if [ "$exported" != "collet_plugin " ]; then
        echo "check-plugins: $file exports '$exported', should export only 'collet_plugin'"
        bad=1
    fi
done
exit $bad
