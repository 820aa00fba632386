/* SPDX-License-Identifier: MIT */
/*
 * Translation caches: flush what may be stale, and nothing that cannot be.
 *
 * A frame whose last mapping of a kind goes away is stamped with the flush clock. A CPU that has flushed
 * everything since then holds no stale entry for it; only the others must flush before the frame changes type or owner.
 * CR4.PGE stays off, so each CR3 load is a full flush of guest and hypervisor entries.
 */
#pragma once

#include "cpu.h"
#include "types.h"

/* Now, on the flush clock. */
extern uint64_t tlb_flush_clock;

void tlb_flush_local(void);
/* Flush everything on each CPU in mask, this one included if it is in it. Returns when done. Context: interrupts enabled. */
void tlb_flush_mask(cpumask_t mask);
/* Same for one linear address. */
void tlb_flush_va_mask(cpumask_t mask, uint64_t va);
/* Flush those CPUs of mask that have not flushed since `stamp`. */
void tlb_flush_since(cpumask_t mask, uint64_t stamp);
/* Whether any CPU of mask has not flushed since `stamp`. */
static inline bool tlb_any_stale(cpumask_t mask, uint64_t stamp)
{
    while (mask != 0) {
        if (READ_ONCE(cpus[__builtin_ctzll(mask)].flush_stamp) <= stamp)
            return true;
        mask &= mask - 1;
    }
    return false;
}
/* Load CR3 with full flush, and note when. Context: interrupts on or off; this CPU. */
void tlb_load_cr3(uint64_t cr3);
