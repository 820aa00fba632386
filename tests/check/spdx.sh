#!/bin/sh
# SPDX-License-Identifier: MIT
# Every source file names the licence in its first three lines.
set -eu
bad=0
for file in $(git ls-files '*.c' '*.h' '*.S' '*.sh' '*.mk' '*.awk' '*.ld' '*.py' '*.pl' Makefile .ci/run); do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || { echo "check-spdx: $file has no SPDX line"; bad=1; }
done
exit $bad
