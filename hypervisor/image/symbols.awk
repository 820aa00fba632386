# SPDX-License-Identifier: MIT
#
# `nm -n collet-first.elf` in, an assembly file out: the sorted table of function addresses (offsets from the image's start) and names
# that lib/symbols.c searches for stack traces.
BEGIN { count = 0 }
$3 == "__image_start" { base = $1 }
($2 == "t" || $2 == "T") && $3 !~ /^(__|\.L)/ {
    address[count] = $1
    name[count] = $3
    count++
}
END {
    print "    .section .symbols, \"a\", @progbits"
    print "    .balign 4"
    print "    .globl symbol_count, symbol_offsets, symbol_name_offsets, symbol_names"
    print "    .hidden symbol_count, symbol_offsets, symbol_name_offsets, symbol_names"
    print "symbol_count: .long " count
    print "symbol_offsets:"
    for (i = 0; i < count; i++)
        print "    .long 0x" address[i] " - 0x" base
    print "symbol_name_offsets:"
    at = 0
    for (i = 0; i < count; i++) {
        print "    .long " at
        at += length(name[i]) + 1
    }
    print "symbol_names:"
    for (i = 0; i < count; i++)
        print "    .asciz \"" name[i] "\""
    print "    .section .note.GNU-stack, \"\", @progbits"
}
