/* SPDX-License-Identifier: MIT */
/* Between the emulators of this folder. */
#pragma once

#include "decode.h"
#include "emulate.h"
#include "types.h"
#include "x86/regs.h"

/* The bytes at regs->rip, zeroes behind those that cannot be read. Returns how many could; at most DECODE_LENGTH_MAX count. */
unsigned int emulate_fetch(const struct regs *regs, uint8_t bytes[DECODE_BUFFER]);
/* Effective address with the segment base of FS or GS, if the instruction names one. */
uint64_t emulate_linear_address(const struct decoded *in, const struct regs *regs);
/* The instruction is done: step over it, and take the single-step trap that the processor would have raised. */
void emulate_finish(struct vcpu *v, struct regs *regs, unsigned int length);
