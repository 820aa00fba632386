#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs unit test programs, as many at a time as there are processors (UNIT_JOBS), and adds up what they say. A program that dies without a result counts as one failure. UNIT_TIMEOUT: seconds for each.
passed=0
failed=0
log=build/unit/log
mkdir -p "$log"
# Limits of single tests are for a machine that has nothing else to do.
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-5}"
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-300}" UNIT_TIMEOUT="${UNIT_TIMEOUT:-1500}" UNIT_LOG="$log"
name_of() { echo "$1" | sed 's|^build/unit/||; s|/|-|g'; }
for program in "$@"; do
    echo "$program $(name_of "$program")"
    rm -f "$log/$(name_of "$program").status"
done | xargs -P "${UNIT_JOBS:-$(nproc)}" -L 1 sh -c 'timeout "$UNIT_TIMEOUT" "$0" >"$UNIT_LOG/$1" 2>&1 </dev/null; echo $? >"$UNIT_LOG/$1.status"'
for program in "$@"; do
    name=$(name_of "$program")
    rc=$(cat "$log/$name.status" 2>/dev/null || echo 126)
    line=$(sed -n 's/^unit: //p' "$log/$name" | tail -n 1)
    if [ -z "$line" ]; then
        echo "FAIL $program: ended with status $rc and no result; $log/$name:"
        tail -n 20 "$log/$name" | sed 's/^/    /'
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + $(echo "$line" | sed 's/ passed.*//')))
    bad=$(echo "$line" | sed 's/.*passed, //; s/ failed.*//')
    failed=$((failed + bad))
    # a program that says nothing failed but ends badly (a leak, say) has failed
    if [ "$bad" -eq 0 ] && [ "$rc" -ne 0 ]; then
        failed=$((failed + 1))
        bad=1
    fi
    if [ "$bad" -ne 0 ]; then
        echo "FAIL $program ($line, status $rc):"
        grep -v '^unit: ' "$log/$name" | tail -n 40 | sed 's/^/    /'
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
