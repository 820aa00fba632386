#!/bin/sh
# SPDX-License-Identifier: MIT
# The library exports what its header promises, no more and no less; and the page's example is the one that the tests compile.
set -eu
bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
grep -oE '\bcollet_[a-z_]+\(' sdk/include/collet/collet.h | tr -d '(' | sort -u >"$work/header"
grep -oE '^ +collet_[a-z_]+;' sdk/libcollet/libcollet.map | tr -d ' ;' | sort -u >"$work/map"
if ! diff "$work/header" "$work/map" >"$work/diff"; then
    echo 'check-libcollet: sdk/include/collet/collet.h and sdk/libcollet/libcollet.map differ:'
    cat "$work/diff"
    bad=1
fi
sed -n '/^```c$/,/^```$/p' docs/reference/libcollet.md | grep -v '^```' >"$work/page"
sed -n '/^#include <collet/,$p' sdk/libcollet/example-list.c >"$work/example"
if ! cmp -s "$work/page" "$work/example"; then
    echo 'check-libcollet: the example in docs/reference/libcollet.md is not sdk/libcollet/example-list.c'
    bad=1
fi
exit $bad
