/* SPDX-License-Identifier: MIT */
/*
 * From one vCPU to another on this pCPU: page table, descriptors, segments, FPU, debug registers, stack. Contract: vcpu_switch() in sched.h.
 *
 * The common switch is between a guest and idle, and back: nothing of the guest is undone on the way to idle but its page table, and nothing is loaded on the
 * way back, if nobody else used the registers meanwhile. What a guest leaves behind is in memory by then, so it may come back anywhere.
 */
#include "x86/switch.h"

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "fpu.h"
#include "mm.h"
#include "paging.h"
#include "sched.h"
#include "tlb.h"
#include "vcpu.h"
#include "x86/cpu-area.h"
#include "x86/cpu-asm.h"

#define GDT_WINDOW_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_ACCESSED | PTE_DIRTY)

bool cpu_has_fsgsbase;

/* What this pCPU's windows show now, so that only differences are written. Own CPU only. */
static struct {
    uint64_t gdt[GDT_GUEST_FRAMES], ldt[LDT_FRAMES]; /* frame numbers, 0 none */
    uint32_t ldt_entries;
    uint64_t empty; /* the entry of a page that is not there */
    struct vcpu *last_guest; /* whose segments, descriptors and debug registers are loaded */
} windows[MAX_CPUS];

void vcpu_stack_switch(uint64_t *save_sp, uint64_t sp);
void vcpu_first_run(void);
void vcpu_first_entered(void);

static void window_set(uint64_t *entry, uint64_t va, uint64_t *shown, uint64_t mfn, uint64_t empty)
{
    if (likely(*shown == mfn))
        return;
    WRITE_ONCE(*entry, mfn != 0 ? mfn << PAGE_SHIFT | GDT_WINDOW_FLAGS : empty);
    *shown = mfn;
    invlpg(va);
}

void vcpu_descriptors_load(struct vcpu *v)
{
    uint32_t cpu = this_cpu_id();
    __typeof__(windows[0]) *w = &windows[cpu];
    unsigned int i;

    if (unlikely(w->empty == 0))
        w->empty = *cpu_area_ldt_pte(cpu, 0);
    for (i = 0; i < GDT_GUEST_FRAMES; i++)
        if (w->gdt[i] != v->gdt_frames[i])
            window_set(cpu_area_gdt_pte(cpu, i), cpu_area_gdt_va(cpu, i), &w->gdt[i], v->gdt_frames[i], w->empty);
    if (likely((w->ldt_entries | v->ldt_entries) == 0))
        return;
    for (i = 0; i < LDT_FRAMES; i++)
        if (w->ldt[i] != v->ldt_frames[i])
            window_set(cpu_area_ldt_pte(cpu, i), cpu_area_ldt_va(cpu, i), &w->ldt[i], v->ldt_frames[i], w->empty);
    cpu_area_set_ldt(v->ldt_entries);
    w->ldt_entries = v->ldt_entries;
}

static void segments_leave(struct vcpu *v)
{
    uint64_t selectors[4];

    segment_selectors_read(selectors);
    v->ds = (uint16_t)selectors[0];
    v->es = (uint16_t)selectors[1];
    v->fs = (uint16_t)selectors[2];
    v->gs = (uint16_t)selectors[3];
    v->fs_base = cpu_has_fsgsbase ? rdfsbase() : rdmsr(MSR_FS_BASE);
    v->gs_base = cpu_has_fsgsbase ? rdgsbase() : rdmsr(MSR_GS_BASE);
    v->gs_base_other = rdmsr(MSR_KERNEL_GS_BASE);
}

/* Selectors before bases: loading one sets the base. What cannot be loaded is null, and the guest is told by its failsafe callback. */
static void segments_enter(struct vcpu *v)
{
    bool ok = selector_load_ds(v->ds);

    ok &= selector_load_es(v->es);
    ok &= selector_load_fs(v->fs);
    ok &= selector_load_gs(v->gs);
    if (cpu_has_fsgsbase) {
        wrfsbase(v->fs_base);
        wrgsbase(v->gs_base);
    } else {
        wrmsr(MSR_FS_BASE, v->fs_base);
        wrmsr(MSR_GS_BASE, v->gs_base);
    }
    wrmsr(MSR_KERNEL_GS_BASE, v->gs_base_other);
    if (unlikely(!ok))
        v->failsafe_pending = true;
}

static void tables_switch(struct cpu *cpu, struct vcpu *prev, struct vcpu *next)
{
    struct domain *from = prev->domain, *to = next->domain;

    /* A bit stands in dirty_cpus at least as long as CR3 may hold one of the domain's tables. */
    if (to != NULL && !(READ_ONCE(to->dirty_cpus) & cpu_bit(cpu->id)))
        __atomic_or_fetch(&to->dirty_cpus, cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
    if (to == NULL)
        tlb_load_cr3(paging_idle_cr3);
    else
        tlb_load_cr3(next->in_kernel ? next->kernel_cr3 : next->user_cr3);
    if (from != NULL && from != to)
        __atomic_and_fetch(&from->dirty_cpus, ~cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
}

static void guest_enter(struct cpu *cpu, struct vcpu *v)
{
    if (windows[cpu->id].last_guest != v || v->registers_cpu != cpu->id) {
        vcpu_descriptors_load(v);
        segments_enter(v);
        debug_registers_enter(v);
        windows[cpu->id].last_guest = v;
        v->registers_cpu = cpu->id;
    }
    fpu_enter(cpu, v);
}

void vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
    struct cpu *cpu = this_cpu();

    if (!prev->is_idle) {
        vcpu_time_switched_out(prev);
        segments_leave(prev);
        fpu_leave(prev);
    }
    tables_switch(cpu, prev, next);
    if (!next->is_idle)
        guest_enter(cpu, next);
    cpu->current = next;
    ((struct stack_info *)next->stack_top)->cpu = cpu;
    cpu_area_set_stack(next->stack_top);
    vcpu_stack_switch(&prev->switch_sp, next->switch_sp);
}

void vcpu_first_entered(void)
{
    sched_switched();
    vcpu_time_switched_in(current_vcpu());
}

void vcpu_stack_prepare(struct vcpu *v)
{
    uint64_t *sp = (uint64_t *)v->regs;

    *--sp = (uint64_t)vcpu_first_run;
    v->switch_sp = (uint64_t)(sp - 6); /* the registers that vcpu_stack_switch pops: anything */
    v->registers_cpu = ~0u;
}
