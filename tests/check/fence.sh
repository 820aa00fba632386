#!/bin/sh
# SPDX-License-Identifier: MIT
# Inline assembly and control registers live only in x86-*.c, *.S and include/x86/ (and the offsets file, which is never linked, and unit tests, which may ask the host's processor).
set -eu
found=$(git ls-files 'hypervisor/*.c' 'hypervisor/*.h' 'sched/*' 'sdk/include/*' 'vfr-rules/*' 'blk-sched/*' | grep '\.[ch]$' |
    grep -vE '(^|/)x86-[^/]*\.c$|include/x86/|asm-offsets\.c$|/test-[^/]*\.c$' | xargs grep -nE '\b(__asm__|asm)\b *(volatile|__volatile__)? *\(|__builtin_ia32_' || true)
[ -z "$found" ] && exit 0
echo "check-fence: machine code outside x86-*.c, *.S and include/x86/:"
echo "$found"
exit 1
