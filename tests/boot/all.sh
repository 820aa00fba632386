#!/bin/bash
# SPDX-License-Identifier: MIT
#
# All suites, one after the other, and the sum of their results: `make test`.
# A suite is a command. Its results are counted from what it prints: lines "ok ..." and "not ok ..." (also indented by a tool's own
# prefix), and lines "N passed, N failed". A suite that fails without having printed a failed result counts as one failed result.
set -u -o pipefail

build=${BUILD:-build}
make=${MAKE:-make}
mkdir -p "$build/tests"
passed=0
failed=0

suite() { # name, command...
    local name=$1 log status sum started=$SECONDS
    shift
    log=$build/tests/$name.out
    echo "== $name"
    "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    sum=$(awk '
        /^ok([ -]|$)/ { p++ }
        /^not ok([ -]|$)/ { f++ }
        # a suite that adds up itself is believed: its single lines are the same results
        /^[0-9]+ passed, [0-9]+ failed$/ { sp += $1; sf += $3; sums++ }
        END { if (sums) print sp, sf; else print p + 0, f + 0 }' "$log")
    set -- $sum
    [ "$status" = 0 ] || [ "$2" != 0 ] || set -- "$1" 1
    [ "$1" != 0 ] || [ "$2" != 0 ] || { echo "not ok - $name: ran no test"; set -- 0 1; }
    passed=$((passed + $1))
    failed=$((failed + $2))
    echo "== $name: $1 passed, $2 failed, $((SECONDS - started)) s"
}

suite unit "$make" --no-print-directory -j"$(nproc)" unit-tests
suite kernels tests/boot/kernels/run-kernels.sh
suite tap tests/boot/kernels/tap.sh
suite debian tests/boot/debian/run.sh
suite domains tests/boot/domains/run.sh
suite disks tests/boot/disks/run.sh
suite power-cut tests/boot/disks/power-cut.sh
suite net tests/boot/net/run.sh basic

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
