/* SPDX-License-Identifier: MIT */
/*
 * Decoding of the 64-bit mode instructions that are emulated: bytes in, description out. No guest memory, no hardware. SDM vol. 2, appendix A.
 * Tests: test-decode.c.
 */
#pragma once

#include "types.h"
#include "x86/regs.h"

#define DECODE_LENGTH_MAX 15
/* What a caller passes: the fetched bytes, zeroes behind them. Long enough for every path through the decoder. */
#define DECODE_BUFFER 32

enum decoded_op {
    OP_NONE = 0,
    /* Arithmetic in the order of the opcode map, so that an opcode's bits 5..3 select one. */
    OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
    OP_BT, OP_BTS, OP_BTR, OP_BTC, /* as 0f ba /4../7 */
    OP_MOV, OP_XCHG, OP_CMPXCHG, OP_XADD, OP_INC, OP_DEC, OP_NOT, OP_NEG,
    /* Privileged ones. */
    OP_WRMSR, OP_RDMSR, OP_MOV_FROM_CR, OP_MOV_TO_CR, OP_MOV_FROM_DR, OP_MOV_TO_DR, OP_CLTS, OP_CLI, OP_STI, OP_HLT, OP_INVD, OP_WBINVD, OP_XSETBV,
    OP_IN, OP_OUT, OP_INS, OP_OUTS,
    OP_COUNT
};

enum decoded_source { SOURCE_REG, SOURCE_IMMEDIATE, SOURCE_DX };
enum { DECODE_NO_REG = 0xff, DECODE_RIP = 0xfe };
enum { DECODE_SEG_NONE, DECODE_SEG_FS, DECODE_SEG_GS };

struct decoded {
    uint8_t op;       /* enum decoded_op */
    uint8_t length;   /* of the whole instruction */
    uint8_t width;    /* of the operand: 1, 2, 4, 8 bytes */
    uint8_t source;   /* enum decoded_source: of what is combined with the destination; for IN and OUT of the port */
    bool memory;      /* the destination (r/m) is memory, else the register rm */
    bool lock, repeat;
    bool rex;         /* byte registers 4..7 are spl, bpl, sil, dil instead of ah, ch, dh, bh */
    uint8_t reg, rm;  /* register numbers; reg also of a control or debug register */
    uint8_t segment;  /* DECODE_SEG_*: whose base is to be added */
    uint8_t base, index, scale_shift; /* register numbers, DECODE_NO_REG; base may be DECODE_RIP */
    bool address32;
    int32_t displacement;
    uint64_t immediate; /* sign-extended to 64 bits */
};

/* false: none of ours, undefined, longer than `available` bytes or than the processor takes. Reads nothing beyond the buffer. */
bool must_check decode_instruction(struct decoded *out, const uint8_t bytes[DECODE_BUFFER], unsigned int available);

/* Effective address of a memory operand, without segment base. regs->rip is that of the instruction itself. */
uint64_t decode_address(const struct decoded *in, const struct regs *regs);

/* General register n as instructions number them. */
extern const uint8_t regs_gpr_offset[16];
static inline uint64_t *regs_gpr(struct regs *regs, unsigned int n)
{
    return (uint64_t *)((char *)regs + regs_gpr_offset[n & 15]);
}
static inline uint64_t regs_gpr_value(const struct regs *regs, unsigned int n)
{
    return *(const uint64_t *)((const char *)regs + regs_gpr_offset[n & 15]);
}
/* Register operand of the instruction's width, as a program sees it: byte registers with their places, a 4-byte write clears the upper half. */
uint64_t decode_register_read(const struct decoded *in, const struct regs *regs, unsigned int n);
void decode_register_write(const struct decoded *in, struct regs *regs, unsigned int n, uint64_t value);
