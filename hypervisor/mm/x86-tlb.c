/* SPDX-License-Identifier: MIT */
/*
 * TLB flushes: by CR3 load, which with CR4.PGE off removes everything (SDM vol. 3, 4.10.4.1), or INVLPG. Contract: tlb.h.
 */
#include "cpu.h"
#include "tlb.h"
#include "x86/cpu-asm.h"

uint64_t tlb_flush_clock = 1;

void tlb_load_cr3(uint64_t cr3)
{
    struct cpu *cpu = this_cpu();
    /* The clock is read before the flush: what is stamped later may have been cached after it. */
    uint64_t now = __atomic_add_fetch(&tlb_flush_clock, 1, __ATOMIC_SEQ_CST);

    write_cr3(cr3);
    cpu->loaded_cr3 = cr3;
    WRITE_ONCE(cpu->flush_stamp, now);
}

void tlb_flush_local(void)
{
    uint64_t flags = irq_save();
    uint64_t now = __atomic_add_fetch(&tlb_flush_clock, 1, __ATOMIC_SEQ_CST);

    write_cr3(read_cr3());
    WRITE_ONCE(this_cpu()->flush_stamp, now);
    irq_restore(flags);
}

static void flush_here(void *arg unused_arg)
{
    tlb_flush_local();
}

static void flush_va_here(void *arg)
{
    invlpg((uint64_t)arg);
}

void tlb_flush_mask(cpumask_t mask)
{
    cpumask_t here = cpu_bit(this_cpu_id());

    if (mask & here)
        tlb_flush_local();
    if (mask & ~here)
        cpu_call(mask & ~here, flush_here, NULL);
}

void tlb_flush_va_mask(cpumask_t mask, uint64_t va)
{
    cpumask_t here = cpu_bit(this_cpu_id());

    if (mask & here)
        invlpg(va);
    if (mask & ~here)
        cpu_call(mask & ~here, flush_va_here, (void *)va);
}

void tlb_flush_since(cpumask_t mask, uint64_t stamp)
{
    cpumask_t stale = 0;

    while (mask != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(mask);

        if (READ_ONCE(cpus[i].flush_stamp) <= stamp)
            stale |= cpu_bit(i);
        mask &= mask - 1;
    }
    if (stale != 0)
        tlb_flush_mask(stale);
}
