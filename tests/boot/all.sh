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
        /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
        END { print p + 0, f + 0 }' "$log")
    set -- $sum
    [ "$status" = 0 ] || [ "$2" != 0 ] || set -- "$1" 1
    [ "$1" != 0 ] || [ "$2" != 0 ] || { echo "not ok - $name: ran no test"; set -- 0 1; }
    passed=$((passed + $1))
    failed=$((failed + $2))
    echo "== $name: $1 passed, $2 failed, $((SECONDS - started)) s"
}

suite unit "$make" --no-print-directory unit-tests
[ ! -e tests/boot/kernels/run.sh ] || suite kernels "$make" --no-print-directory test-kernels
suite debian tests/boot/debian/run.sh

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
