/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder of the emulators. Pure: the same file is fuzzed on the host (test-decode.c).
 *
 * One table word an opcode says everything; there is no per-opcode code but for the groups whose ModRM selects the operation. The page-table
 * write path runs through here, so a common instruction takes a few dozen steps. Contract: decode.h.
 */
#include "decode.h"

#define FORM_OP 0x3f
#define FORM_MODRM 0x40
#define FORM_IMM8 0x80   /* one byte, sign-extended */
#define FORM_IMMZ 0x100  /* of operand size, at most four bytes, sign-extended */
#define FORM_BYTE 0x200  /* operands are bytes */
#define FORM_MEMORY 0x400 /* with a register as r/m it is none of ours */
#define FORM_DX 0x800
#define FORM_GROUP_ALU 0x1000  /* 80, 81, 83 */
#define FORM_GROUP_BIT 0x2000  /* 0f ba */
#define FORM_GROUP_MOV 0x3000  /* c6, c7 */
#define FORM_GROUP_NOT 0x4000  /* f6, f7 */
#define FORM_GROUP_INC 0x5000  /* fe, ff */
#define FORM_GROUP_0F01 0x6000
#define FORM_GROUP 0x7000
#define FORM_CONTROL 0x8000 /* register operands of eight bytes, mod ignored */

#define OP_PREFIX OP_COUNT /* in one_byte only */
_Static_assert(OP_COUNT <= FORM_OP, "operation and prefix mark fit in a table word");

#define RM (FORM_MODRM | FORM_MEMORY)
#define RM8 (RM | FORM_BYTE)

static const uint16_t one_byte[256] = {
    [0x26] = OP_PREFIX, [0x2e] = OP_PREFIX, [0x36] = OP_PREFIX, [0x3e] = OP_PREFIX, [0x40 ... 0x4f] = OP_PREFIX, [0x64 ... 0x67] = OP_PREFIX,
    [0xf0] = OP_PREFIX, [0xf2] = OP_PREFIX, [0xf3] = OP_PREFIX,
    [0x00] = OP_ADD | RM8, [0x01] = OP_ADD | RM, [0x08] = OP_OR | RM8, [0x09] = OP_OR | RM,
    [0x10] = OP_ADC | RM8, [0x11] = OP_ADC | RM, [0x18] = OP_SBB | RM8, [0x19] = OP_SBB | RM,
    [0x20] = OP_AND | RM8, [0x21] = OP_AND | RM, [0x28] = OP_SUB | RM8, [0x29] = OP_SUB | RM,
    [0x30] = OP_XOR | RM8, [0x31] = OP_XOR | RM,
    [0x6c] = OP_INS | FORM_BYTE | FORM_DX, [0x6d] = OP_INS | FORM_DX,
    [0x6e] = OP_OUTS | FORM_BYTE | FORM_DX, [0x6f] = OP_OUTS | FORM_DX,
    [0x80] = RM8 | FORM_IMM8 | FORM_GROUP_ALU, [0x81] = RM | FORM_IMMZ | FORM_GROUP_ALU, [0x83] = RM | FORM_IMM8 | FORM_GROUP_ALU,
    [0x86] = OP_XCHG | RM8, [0x87] = OP_XCHG | RM, [0x88] = OP_MOV | RM8, [0x89] = OP_MOV | RM,
    [0xc6] = RM8 | FORM_IMM8 | FORM_GROUP_MOV, [0xc7] = RM | FORM_IMMZ | FORM_GROUP_MOV,
    [0xe4] = OP_IN | FORM_BYTE | FORM_IMM8, [0xe5] = OP_IN | FORM_IMM8, [0xe6] = OP_OUT | FORM_BYTE | FORM_IMM8, [0xe7] = OP_OUT | FORM_IMM8,
    [0xec] = OP_IN | FORM_BYTE | FORM_DX, [0xed] = OP_IN | FORM_DX, [0xee] = OP_OUT | FORM_BYTE | FORM_DX, [0xef] = OP_OUT | FORM_DX,
    [0xf4] = OP_HLT, [0xf6] = RM8 | FORM_GROUP_NOT, [0xf7] = RM | FORM_GROUP_NOT, [0xfa] = OP_CLI, [0xfb] = OP_STI,
    [0xfe] = RM8 | FORM_GROUP_INC, [0xff] = RM | FORM_GROUP_INC,
};

static const uint16_t two_byte[256] = {
    [0x01] = FORM_MODRM | FORM_GROUP_0F01, [0x06] = OP_CLTS, [0x08] = OP_INVD, [0x09] = OP_WBINVD,
    [0x20] = OP_MOV_FROM_CR | FORM_CONTROL, [0x21] = OP_MOV_FROM_DR | FORM_CONTROL,
    [0x22] = OP_MOV_TO_CR | FORM_CONTROL, [0x23] = OP_MOV_TO_DR | FORM_CONTROL,
    [0x30] = OP_WRMSR, [0x32] = OP_RDMSR,
    [0xab] = OP_BTS | RM, [0xb3] = OP_BTR | RM, [0xbb] = OP_BTC | RM, [0xba] = RM | FORM_IMM8 | FORM_GROUP_BIT,
    [0xb0] = OP_CMPXCHG | RM8, [0xb1] = OP_CMPXCHG | RM, [0xc0] = OP_XADD | RM8, [0xc1] = OP_XADD | RM,
};

const uint8_t regs_gpr_offset[16] = {
    offsetof(struct regs, rax), offsetof(struct regs, rcx), offsetof(struct regs, rdx), offsetof(struct regs, rbx),
    offsetof(struct regs, rsp), offsetof(struct regs, rbp), offsetof(struct regs, rsi), offsetof(struct regs, rdi),
    offsetof(struct regs, r8),  offsetof(struct regs, r9),  offsetof(struct regs, r10), offsetof(struct regs, r11),
    offsetof(struct regs, r12), offsetof(struct regs, r13), offsetof(struct regs, r14), offsetof(struct regs, r15),
};

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

static inline int32_t read_i32(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

/* ModRM, SIB, displacement. Returns the position behind them. */
static unsigned int decode_modrm(struct decoded *out, const uint8_t *bytes, unsigned int at, unsigned int rex)
{
    uint8_t modrm = bytes[at++], mod = modrm >> 6, low = modrm & 7;

    out->reg = (uint8_t)((modrm >> 3 & 7) | (rex & REX_R) << 1);
    out->rm = (uint8_t)(low | (rex & REX_B) << 3);
    out->memory = mod != 3;
    if (mod == 3)
        return at;
    out->base = out->rm;
    out->index = DECODE_NO_REG;
    out->displacement = 0;
    if (low == 4) {
        uint8_t sib = bytes[at++];

        out->base = (uint8_t)((sib & 7) | (rex & REX_B) << 3);
        out->index = (uint8_t)((sib >> 3 & 7) | (rex & REX_X) << 2);
        out->scale_shift = sib >> 6;
        if (out->index == 4)
            out->index = DECODE_NO_REG;
        if ((sib & 7) == 5 && mod == 0) {
            out->base = DECODE_NO_REG;
            mod = 2;
        }
    } else if (low == 5 && mod == 0) {
        out->base = DECODE_RIP;
        mod = 2;
    }
    if (mod == 1) {
        out->displacement = (int8_t)bytes[at];
        at += 1;
    } else if (mod == 2) {
        out->displacement = read_i32(bytes + at);
        at += 4;
    }
    return at;
}

/* The operation that the ModRM byte's middle field chooses; OP_NONE if it is none of ours. */
static uint8_t group_op(const struct decoded *out, unsigned int group, uint8_t modrm, unsigned int *form)
{
    unsigned int field = modrm >> 3 & 7;

    switch (group) {
    case FORM_GROUP_ALU:
        return (uint8_t)(OP_ADD + field);
    case FORM_GROUP_BIT:
        return field >= 4 ? (uint8_t)(OP_BT + field - 4) : OP_NONE;
    case FORM_GROUP_MOV:
        return field == 0 ? OP_MOV : OP_NONE;
    case FORM_GROUP_NOT:
        return field == 2 ? OP_NOT : field == 3 ? OP_NEG : OP_NONE;
    case FORM_GROUP_INC:
        return field == 0 ? OP_INC : field == 1 ? OP_DEC : OP_NONE;
    default: /* 0f 01 d1 */
        *form &= ~(unsigned int)FORM_MEMORY;
        return modrm == 0xd1 && !out->memory ? OP_XSETBV : OP_NONE;
    }
}

/* Only these take LOCK; elsewhere it is #UD. */
#define LOCKABLE                                                                                                       \
    (1ull << OP_ADD | 1ull << OP_OR | 1ull << OP_ADC | 1ull << OP_SBB | 1ull << OP_AND | 1ull << OP_SUB | 1ull << OP_XOR | 1ull << OP_BTS |           \
     1ull << OP_BTR | 1ull << OP_BTC | 1ull << OP_XCHG | 1ull << OP_CMPXCHG | 1ull << OP_XADD | 1ull << OP_INC | 1ull << OP_DEC | 1ull << OP_NOT |     \
     1ull << OP_NEG)

static void prefix_take(struct decoded *out, uint8_t byte, bool *operand16)
{
    switch (byte) {
    case 0xf0:
        out->lock = true;
        break;
    case 0x66:
        *operand16 = true;
        break;
    case 0xf2:
    case 0xf3:
        out->repeat = true;
        break;
    case 0x67:
        out->address32 = true;
        break;
    case 0x64:
        out->segment = DECODE_SEG_FS;
        break;
    case 0x65:
        out->segment = DECODE_SEG_GS;
        break;
    default: /* the other segments have base 0 */
        break;
    }
}

/* mov %reg,(%base) and xchg %reg,(%base) of eight bytes: nearly all page-table writes of the stock kernel. Same answer as the long way. */
static bool decode_plain_store(struct decoded *out, const uint8_t *bytes)
{
    uint8_t rex = bytes[0], modrm = bytes[2], low = modrm & 7;

    if ((rex & 0xfa) != 0x48 || (bytes[1] != 0x87 && bytes[1] != 0x89) || modrm >= 0x40 || low == 4 || low == 5)
        return false;
    *out = (struct decoded){
        .op = bytes[1] == 0x87 ? OP_XCHG : OP_MOV,
        .length = 3,
        .width = 8,
        .memory = true,
        .rex = true,
        .reg = (uint8_t)(modrm >> 3 | (rex & REX_R) << 1),
        .rm = (uint8_t)(low | (rex & REX_B) << 3),
        .base = (uint8_t)(low | (rex & REX_B) << 3),
        .index = DECODE_NO_REG,
    };
    return true;
}

bool decode_instruction(struct decoded *out, const uint8_t bytes[DECODE_BUFFER], unsigned int available)
{
    unsigned int at = 0, rex = 0, form, group;
    bool operand16 = false;
    uint8_t byte;

    if (decode_plain_store(out, bytes))
        return available >= out->length;
    out->lock = out->repeat = out->address32 = false;
    out->memory = false;
    out->segment = DECODE_SEG_NONE;
    out->source = SOURCE_REG;
    out->scale_shift = 0;
    byte = bytes[at++];
    while ((one_byte[byte] & FORM_OP) == OP_PREFIX) {
        if ((byte & 0xf0) == 0x40) {
            rex = byte;
            byte = bytes[at++];
            break; /* REX counts only right before the opcode: another prefix behind it is not decoded here */
        }
        prefix_take(out, byte, &operand16);
        byte = bytes[at++];
        if (at >= DECODE_LENGTH_MAX)
            return false;
    }
    out->rex = rex != 0;
    form = byte == 0x0f ? two_byte[bytes[at++]] : one_byte[byte];
    if ((form & FORM_OP) == OP_PREFIX)
        return false;
    if (form == 0)
        return false;
    out->op = form & FORM_OP;
    out->width = form & FORM_BYTE ? 1 : rex & REX_W ? 8 : operand16 ? 2 : 4;
    group = form & FORM_GROUP;
    if (form & FORM_MODRM) {
        byte = bytes[at];
        at = decode_modrm(out, bytes, at, rex);
        if (group != 0) {
            out->op = group_op(out, group, byte, &form);
            if (out->op == OP_NONE)
                return false;
        }
        if ((form & FORM_MEMORY) && !out->memory)
            return false;
    } else if (form & FORM_CONTROL) {
        byte = bytes[at++];
        out->reg = (uint8_t)((byte >> 3 & 7) | (rex & REX_R) << 1);
        out->rm = (uint8_t)((byte & 7) | (rex & REX_B) << 3);
        out->width = 8;
    }
    if (form & FORM_IMM8) {
        out->immediate = (uint64_t)(int64_t)(int8_t)bytes[at++];
        out->source = SOURCE_IMMEDIATE;
    } else if (form & FORM_IMMZ) {
        out->source = SOURCE_IMMEDIATE;
        if (out->width == 2) {
            out->immediate = (uint64_t)(int64_t)(int16_t)(bytes[at] | bytes[at + 1] << 8);
            at += 2;
        } else {
            out->immediate = (uint64_t)(int64_t)read_i32(bytes + at);
            at += 4;
        }
    } else if (form & FORM_DX) {
        out->source = SOURCE_DX;
    }
    if (out->lock && !((LOCKABLE >> out->op & 1) && out->memory))
        return false;
    out->length = (uint8_t)at;
    return at <= DECODE_LENGTH_MAX && at <= available;
}

uint64_t decode_address(const struct decoded *in, const struct regs *regs)
{
    uint64_t address = (uint64_t)(int64_t)in->displacement;

    if (in->base == DECODE_RIP)
        address += regs->rip + in->length;
    else if (in->base != DECODE_NO_REG)
        address += regs_gpr_value(regs, in->base);
    if (in->index != DECODE_NO_REG)
        address += regs_gpr_value(regs, in->index) << in->scale_shift;
    return in->address32 ? (uint32_t)address : address;
}

static inline bool is_high_byte(const struct decoded *in, unsigned int n)
{
    return in->width == 1 && !in->rex && n >= 4 && n < 8;
}

uint64_t decode_register_read(const struct decoded *in, const struct regs *regs, unsigned int n)
{
    uint64_t value = is_high_byte(in, n) ? regs_gpr_value(regs, n - 4) >> 8 : regs_gpr_value(regs, n);

    return in->width == 8 ? value : value & ((1ull << in->width * 8) - 1);
}

void decode_register_write(const struct decoded *in, struct regs *regs, unsigned int n, uint64_t value)
{
    uint64_t *reg = regs_gpr(regs, is_high_byte(in, n) ? n - 4 : n);

    switch (in->width) {
    case 1:
        if (is_high_byte(in, n))
            *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
        else
            *reg = (*reg & ~0xffull) | (value & 0xff);
        break;
    case 2:
        *reg = (*reg & ~0xffffull) | (value & 0xffff);
        break;
    case 4:
        *reg = (uint32_t)value;
        break;
    default:
        *reg = value;
        break;
    }
}
