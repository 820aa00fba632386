/* SPDX-License-Identifier: MIT */
/*
 * Page-table writes that a guest kernel makes with ordinary instructions: the write faults (the table is mapped read-only), and is carried out here after the
 * checks of mmu_update. Tens of thousands a minute: every munmap of the stock kernel is an xchg for each page.
 *
 * The instruction may write 1, 2, 4 or 8 bytes within one entry; the entry is always replaced whole, by compare-and-swap, so a racing update is never lost
 * and the processor's accessed and dirty bits are kept. Contract: emulate.h, mm.h.
 */
#include "alu.h"
#include "emulate-internal.h"
#include "mm.h"
#include "vcpu.h"

#include <hv/errno.h>

#define TRIES 16

/* The bit string instructions with a register reach beyond the operand: bit n lies in the word n / width, counted with sign. */
static uint64_t bit_word_offset(const struct decoded *in, uint64_t number)
{
    int64_t n = in->width == 8 ? (int64_t)number : in->width == 4 ? (int32_t)number : (int16_t)number;
    unsigned int shift = in->width == 8 ? 6 : in->width == 4 ? 5 : 4;

    return (uint64_t)(n >> shift) * in->width;
}

static inline bool is_bit_op(const struct decoded *in)
{
    return in->op >= OP_BT && in->op <= OP_BTC;
}

/* Once the entry is replaced: registers and flags as the processor would leave them. */
static void commit(const struct decoded *in, struct regs *regs, uint64_t before, uint64_t rflags)
{
    if (in->op == OP_XCHG || in->op == OP_XADD)
        decode_register_write(in, regs, in->reg, before);
    regs->rflags = rflags;
}

/*
 * CMPXCHG with `before` in memory: true if the accumulator equals it, so that the source is to be written. Else the accumulator gets it, and the
 * instruction ends without a change.
 */
static bool compare_accumulator(const struct decoded *in, struct regs *regs, uint64_t before, uint64_t *rflags)
{
    alu_apply(OP_CMPXCHG, in->width, before, decode_register_read(in, regs, 0), rflags);
    if (*rflags & RFLAGS_ZF)
        return true;
    decode_register_write(in, regs, 0, before);
    regs->rflags = *rflags;
    return false;
}

bool emulate_pt_write(struct vcpu *v, struct regs *regs, uint64_t cr2)
{
    uint8_t bytes[DECODE_BUFFER];
    struct decoded in;
    struct pt_place place;
    uint64_t address, source, mask, old;
    unsigned int shift = (unsigned int)(cr2 & 7) * 8, available, try;

    /* First the cheaper question: most other write faults of a guest kernel are copies to a program's pages. */
    if (pt_read(cr2 & ~7ull, &place, &old) != 0)
        return false;
    available = emulate_fetch(regs, bytes);
    if (!decode_instruction(&in, bytes, available) || !in.memory || in.op == OP_BT || in.op == OP_CMP)
        return false;
    address = emulate_linear_address(&in, regs);
    source = in.source == SOURCE_IMMEDIATE ? in.immediate : decode_register_read(&in, regs, in.reg);
    if (is_bit_op(&in) && in.source == SOURCE_REG)
        address += bit_word_offset(&in, source);
    /* Not ours: another instruction than the one that faulted, or a second operand of it; or more than one entry. */
    if (address != cr2 || (address & (in.width - 1u)) != 0)
        return false;
    mask = in.width == 8 ? ~0ull : (1ull << in.width * 8) - 1;

    for (try = 0; try < TRIES; try++) {
        uint64_t before = old >> shift & mask, after, rflags = regs->rflags;
        int rc;

        if (in.op == OP_CMPXCHG) {
            if (!compare_accumulator(&in, regs, before, &rflags))
                break;
            after = source;
        } else if (likely(in.op == OP_XCHG || in.op == OP_MOV)) {
            after = source & mask;
        } else {
            after = alu_apply((enum decoded_op)in.op, in.width, before, source, &rflags);
        }
        rc = pt_write_cmpxchg(v, &place, &old, (old & ~(mask << shift)) | after << shift);
        if (likely(rc == 0)) {
            commit(&in, regs, before, rflags);
            break;
        }
        if (rc != -EAGAIN)
            return false;
    }
    /* Out of tries the guest executes the instruction again, and faults again: nothing here may spin. */
    if (likely(try < TRIES))
        emulate_finish(v, regs, in.length);
    return true;
}
