#!/bin/sh
# SPDX-License-Identifier: MIT
# Seeds for fuzz-rules, in the folder that is named: the examples of the documents (their indented blocks), block by block; and rule by rule those that the tests of the language have. Run from the top.
set -eu
to=$1
mkdir -p "$to"
for page in docs/reference/rule-language.md docs/firewall-cookbook.md docs/man/collet-rules.5; do
    awk -v to="$to/$(basename "$page")" '
        /^    / { if (!open) n++; open = 1; print substr($0, 5) > (to "." n); next }
        { open = 0 }' "$page"
done
sed -n 's/^.*compile("\(.*\)").*$/\1/p; s/^    { "\(.*\)", [0-9]*, [0-9]*, ".*$/\1/p' plugins-dom0/rules/test-rules.c | awk -v to="$to/test" '{ printf "%s", $0 > (to "." NR ".escaped"); close(to "." NR ".escaped") }'
for f in "$to"/test.*.escaped; do
    # The text of a C string.
    printf '%b' "$(sed 's/\\"/"/g' "$f")" >"${f%.escaped}"
    rm "$f"
done
