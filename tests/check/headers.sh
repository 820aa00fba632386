#!/bin/sh
# SPDX-License-Identifier: MIT
# Each header is a contract that stands alone: it compiles without anything before it.
set -eu
: "${CC:=gcc}" "${FLAGS:=-std=gnu11 -fsyntax-only}" "${OFFSETS:=build/hv}"
bad=0
for header in $(git ls-files 'hypervisor/include/*.h' 'sdk/include/*.h' 'sdk/host/*.h' 'sched/*.h'); do
    case $header in
    sdk/* | sched/*) include=-Isdk/include ;;
    *) include="-Ihypervisor/include -Isdk/include -I$OFFSETS" ;;
    esac
    machine="-ffreestanding -mgeneral-regs-only"
    # For programs of the host alone.
    case $header in sdk/include/hv/plugin-*.h) machine= ;; esac
    # shellcheck disable=SC2086
    if ! printf '#include "%s"\n' "$PWD/$header" | $CC $FLAGS $include $machine -x c - 2>/tmp/headers.$$; then
        echo "check-headers: $header does not compile alone:"
        head -n 5 /tmp/headers.$$
        bad=1
    fi
done
rm -f /tmp/headers.$$
exit $bad
