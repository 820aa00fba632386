/* SPDX-License-Identifier: MIT */
/*
 * What an arithmetic instruction does to its destination and to the flags. Pure. Tests: test-decode.c (against the processor itself).
 */
#pragma once

#include "decode.h"

/*
 * Result of `op` on dest and source, both of `width` bytes (upper bits zero); *rflags gets the new status flags. For OP_BT* the source is the bit number, which is
 * taken modulo the width; for OP_CMPXCHG dest is compared with `source` (the accumulator) for the flags alone, and dest is returned.
 */
uint64_t alu_apply(enum decoded_op op, unsigned int width, uint64_t dest, uint64_t source, uint64_t *rflags);
