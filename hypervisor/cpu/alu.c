/* SPDX-License-Identifier: MIT */
/*
 * Results and status flags of the emulated arithmetic. SDM vol. 1, 3.4.3.1. Contract: alu.h.
 */
#include "alu.h"

#define RFLAGS_PF (1u << 2)
#define RFLAGS_AF (1u << 4)
#define RFLAGS_SF (1u << 7)
#define RFLAGS_OF (1u << 11)
#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t sign_zero_parity(uint64_t result, uint64_t top)
{
    uint64_t flags = 0;

    if (result == 0)
        flags |= RFLAGS_ZF;
    if (result & top)
        flags |= RFLAGS_SF;
    if (!(__builtin_popcount((unsigned int)result & 0xff) & 1))
        flags |= RFLAGS_PF;
    return flags;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, uint64_t mask, uint64_t top, uint64_t *flags)
{
    uint64_t result = (a + b + carry) & mask;

    *flags = sign_zero_parity(result, top);
    if (((a & b) | ((a | b) & ~result)) & top)
        *flags |= RFLAGS_CF;
    if ((a ^ result) & (b ^ result) & top)
        *flags |= RFLAGS_OF;
    if ((a ^ b ^ result) & 0x10)
        *flags |= RFLAGS_AF;
    return result;
}

static uint64_t subtract(uint64_t a, uint64_t b, uint64_t borrow, uint64_t mask, uint64_t top, uint64_t *flags)
{
    uint64_t result = (a - b - borrow) & mask;

    *flags = sign_zero_parity(result, top);
    if (((~a & b) | ((~a | b) & result)) & top)
        *flags |= RFLAGS_CF;
    if ((a ^ b) & (a ^ result) & top)
        *flags |= RFLAGS_OF;
    if ((a ^ b ^ result) & 0x10)
        *flags |= RFLAGS_AF;
    return result;
}

/* Bit operations change CF alone. */
static uint64_t bit_apply(enum decoded_op op, unsigned int width, uint64_t dest, uint64_t number, uint64_t *rflags)
{
    uint64_t bit = 1ull << (number & (width * 8 - 1));

    *rflags = (*rflags & ~(uint64_t)RFLAGS_CF) | (dest & bit ? RFLAGS_CF : 0);
    if (op == OP_BTS)
        return dest | bit;
    if (op == OP_BTR)
        return dest & ~bit;
    return op == OP_BTC ? dest ^ bit : dest;
}

uint64_t alu_apply(enum decoded_op op, unsigned int width, uint64_t dest, uint64_t source, uint64_t *rflags)
{
    uint64_t top = 1ull << (width * 8 - 1), mask = top | (top - 1), flags = 0, result, affected = STATUS_FLAGS;

    source = op >= OP_BT && op <= OP_BTC ? source : source & mask;
    switch (op) {
    case OP_MOV:
    case OP_XCHG:
        return source;
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        return bit_apply(op, width, dest, source, rflags);
    case OP_AND:
        result = dest & source;
        flags = sign_zero_parity(result, top);
        break;
    case OP_OR:
        result = dest | source;
        flags = sign_zero_parity(result, top);
        break;
    case OP_XOR:
        result = dest ^ source;
        flags = sign_zero_parity(result, top);
        break;
    case OP_ADD:
    case OP_XADD:
        result = add(dest, source, 0, mask, top, &flags);
        break;
    case OP_ADC:
        result = add(dest, source, *rflags & RFLAGS_CF, mask, top, &flags);
        break;
    case OP_SUB:
        result = subtract(dest, source, 0, mask, top, &flags);
        break;
    case OP_SBB:
        result = subtract(dest, source, *rflags & RFLAGS_CF, mask, top, &flags);
        break;
    case OP_CMPXCHG:
        subtract(source, dest, 0, mask, top, &flags);
        result = dest;
        break;
    case OP_NEG:
        result = subtract(0, dest, 0, mask, top, &flags);
        break;
    case OP_INC:
        result = add(dest, 1, 0, mask, top, &flags);
        affected &= ~(uint64_t)RFLAGS_CF;
        break;
    case OP_DEC:
        result = subtract(dest, 1, 0, mask, top, &flags);
        affected &= ~(uint64_t)RFLAGS_CF;
        break;
    case OP_NOT:
        return ~dest & mask;
    default:
        return dest;
    }
    *rflags = (*rflags & ~affected) | (flags & affected);
    return result;
}
