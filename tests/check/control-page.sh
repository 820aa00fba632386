#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/abi/control.md is what docs/abi/make-control.pl makes of the header as it is now.
set -eu
now=$(mktemp)
trap 'rm -f "$now"' EXIT
perl docs/abi/make-control.pl sdk/include/collet/control.h >"$now"
cmp -s "$now" docs/abi/control.md && exit 0
echo 'check-control-page: docs/abi/control.md is not current: run "make control-page"'
diff docs/abi/control.md "$now" | head -n 10
exit 1
