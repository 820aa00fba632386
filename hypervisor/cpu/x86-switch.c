// SPDX-License-Identifier: MIT
/*
 * The vCPU switch: one vCPU's registers go to memory, another's come in, and the stack changes with them.
 *
 * What a guest can change by itself (selectors, bases, FPU) is saved each time a vCPU leaves, so that it may go on anywhere at once. It is loaded again only if
 * another guest was here in between: v->fpu_cpu names the CPU whose registers last were v's, and that CPU's fpu_owner the last vCPU there. Blocking and waking therefore
 * pass through the idle vCPU for the price of the saving and two CR3 loads.
 *
 * The order within a switch matters: the domain's dirty bit is set before its page table is loaded and cleared after the next one is (tlb.h); descriptor windows are
 * changed before CR3, whose load flushes them; selectors come after, bases after selectors. Contract: sched.h, x86/switch.h, mm.h. Page: docs/concepts/cpu.md.
 */
#include "cpu-policy.h"
#include "cpu.h"
#include "domain.h"
#include "fpu.h"
#include "mm.h"
#include "paging.h"
#include "sched.h"
#include "tlb.h"
#include "vcpu.h"
#include "x86-debugreg.h"
#include "x86-msr.h"
#include "x86/cpu-area.h"
#include "x86/state-asm.h"
#include "x86/switch.h"

#define WINDOW_PTE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NX) /* writable: the processor marks descriptors as accessed */

/* What this pCPU has loaded. Own CPU, interrupts off. */
static struct {
    uint64_t *gdt_pte, *ldt_pte; /* first entries of the windows, the others follow; NULL until first used */
    uint64_t empty_pte;          /* of a page of zeroes */
    uint32_t gdt_frames, ldt_frames, ldt_entries;
    uint32_t tsc_aux;
} loaded[MAX_CPUS];

void vcpu_stack_switch(uint64_t *keep_sp, uint64_t new_sp);
void vcpu_first_run(void);
void vcpu_first_run_prepare(void);

/* ---- Descriptor tables ---- */

static void windows_find(uint32_t cpu)
{
    loaded[cpu].gdt_pte = cpu_area_gdt_pte(cpu, 0);
    loaded[cpu].ldt_pte = cpu_area_ldt_pte(cpu, 0);
    loaded[cpu].empty_pte = *loaded[cpu].gdt_pte;
}

/* Show `count` frames in a window that shows `shown` now. */
static void window_set(uint64_t *pte, uint64_t va, const uint64_t *mfns, uint32_t count, uint32_t shown, uint64_t empty, bool flush)
{
    uint32_t i, end = max(count, shown);

    for (i = 0; i < end; i++) {
        uint64_t wanted = i < count && mfns[i] != 0 ? mfn_to_maddr(MFN(mfns[i])) | WINDOW_PTE : empty;

        if (pte[i] == wanted)
            continue;
        pte[i] = wanted;
        if (flush)
            invlpg(va + i * PAGE_SIZE);
    }
}

/* Interrupts off. Without `flush` the caller loads CR3 before it uses a selector. */
static void descriptors_set(const struct vcpu *v, uint32_t cpu, bool flush)
{
    if (unlikely(loaded[cpu].gdt_pte == NULL))
        windows_find(cpu);
    window_set(loaded[cpu].gdt_pte, cpu_area_gdt_va(cpu, 0), v->gdt_frames, v->gdt_frame_count, loaded[cpu].gdt_frames, loaded[cpu].empty_pte, flush);
    loaded[cpu].gdt_frames = v->gdt_frame_count;
    if (likely((v->ldt_frame_count | loaded[cpu].ldt_frames | loaded[cpu].ldt_entries) == 0))
        return;
    window_set(loaded[cpu].ldt_pte, cpu_area_ldt_va(cpu, 0), v->ldt_frames, v->ldt_frame_count, loaded[cpu].ldt_frames, loaded[cpu].empty_pte, flush);
    loaded[cpu].ldt_frames = v->ldt_frame_count;
    if (v->ldt_entries != loaded[cpu].ldt_entries)
        cpu_area_set_ldt(v->ldt_entries);
    loaded[cpu].ldt_entries = v->ldt_entries;
}

void vcpu_descriptors_load(struct vcpu *v)
{
    descriptors_set(v, this_cpu_id(), true);
}

/* ---- Segments ---- */

static void segments_save(struct vcpu *v)
{
    __asm__ volatile("mov %%ds,%0; mov %%es,%1; mov %%fs,%2; mov %%gs,%3" : "=m"(v->ds), "=m"(v->es), "=m"(v->fs), "=m"(v->gs));
    if (likely(cpu_policy.fsgsbase)) {
        v->fs_base = rdfsbase();
        v->gs_base = rdgsbase();
    } else {
        v->fs_base = rdmsr(MSR_FS_BASE);
        v->gs_base = rdmsr(MSR_GS_BASE);
    }
    v->gs_base_other = rdmsr(MSR_KERNEL_GS_BASE);
}

static inline uint16_t selector_now(unsigned int which)
{
    uint16_t s;

    switch (which) {
    case 0:
        __asm__ volatile("mov %%ds,%0" : "=r"(s));
        break;
    case 1:
        __asm__ volatile("mov %%es,%0" : "=r"(s));
        break;
    case 2:
        __asm__ volatile("mov %%fs,%0" : "=r"(s));
        break;
    default:
        __asm__ volatile("mov %%gs,%0" : "=r"(s));
        break;
    }
    return s;
}

/* Equal selectors are loaded all the same: two guests mean different descriptors by them. Null for null is not. */
static void segments_load(struct vcpu *v)
{
    bool ok = true;

    if (v->ds | selector_now(0))
        ok &= segment_load_ds(v->ds);
    if (v->es | selector_now(1))
        ok &= segment_load_es(v->es);
    if (v->fs | selector_now(2))
        ok &= segment_load_fs(v->fs);
    if (v->gs | selector_now(3))
        ok &= segment_load_gs(v->gs);
    if (unlikely(!ok)) {
        v->failsafe_pending = true;
        softirq_raise(SOFTIRQ_SCHEDULE); /* by way of guest_exit_work */
    }
    if (likely(cpu_policy.fsgsbase)) {
        wrfsbase(v->fs_base);
        wrgsbase(v->gs_base);
    } else {
        wrmsr(MSR_FS_BASE, v->fs_base);
        wrmsr(MSR_GS_BASE, v->gs_base);
    }
    wrmsr(MSR_KERNEL_GS_BASE, v->gs_base_other);
}

static void tsc_aux_load(const struct vcpu *v, uint32_t cpu)
{
    if (likely(v->tsc_aux == loaded[cpu].tsc_aux) || !cpu_policy.tsc_aux)
        return;
    wrmsr(MSR_TSC_AUX, v->tsc_aux);
    loaded[cpu].tsc_aux = v->tsc_aux;
}

void vcpu_tsc_aux_set(struct vcpu *v, uint32_t value)
{
    uint64_t flags = irq_save();

    v->tsc_aux = value;
    tsc_aux_load(v, this_cpu_id());
    irq_restore(flags);
}

/* ---- The switch ---- */

static void guest_leave(struct vcpu *v)
{
    vcpu_time_switched_out(v);
    segments_save(v);
    fpu_save(v);
    if (unlikely(debugreg_armed(v)))
        debugreg_unload();
}

static void guest_enter(struct cpu *cpu, struct vcpu *v)
{
    cpumask_t *dirty = &v->domain->dirty_cpus;
    bool intact = cpu->fpu_owner == v && v->fpu_cpu == cpu->id;

    if (!(*dirty & cpu_bit(cpu->id))) /* our bit, which no one else changes */
        __atomic_fetch_or(dirty, cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
    if (!intact)
        descriptors_set(v, cpu->id, false);
    tlb_load_cr3(v->in_kernel ? v->kernel_cr3 : v->user_cr3);
    if (!intact) {
        ((struct stack_info *)v->stack_top)->cpu = cpu;
        cpu_area_set_stack(v->stack_top);
        segments_load(v);
        tsc_aux_load(v, cpu->id);
        fpu_load(v);
        cpu->fpu_owner = v;
        v->fpu_cpu = cpu->id;
    }
    fpu_guest_controls(v);
    if (unlikely(debugreg_armed(v)))
        debugreg_load(v);
}

void vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
    struct cpu *cpu = this_cpu();

    if (!prev->is_idle)
        guest_leave(prev);
    WRITE_ONCE(cpu->current, next);
    if (next->is_idle)
        tlb_load_cr3(paging_idle_cr3);
    else
        guest_enter(cpu, next);
    if (!prev->is_idle && prev->domain != next->domain)
        __atomic_fetch_and(&prev->domain->dirty_cpus, ~cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
    vcpu_stack_switch(&prev->switch_sp, next->switch_sp);
    /* prev again, perhaps on another CPU. Once the core knows that who ran here has left, its time goes on. */
    if (!prev->is_idle) {
        sched_switched();
        vcpu_time_switched_in(prev);
    }
}

/* On the stack of a vCPU that has never run, interrupts off. */
void vcpu_first_run_prepare(void)
{
    sched_switched();
    vcpu_time_switched_in(current_vcpu());
}

/* ---- New vCPUs ---- */

void vcpu_state_changed(struct vcpu *v)
{
    v->fpu_cpu = VCPU_STATE_NOWHERE;
}

void vcpu_stack_prepare(struct vcpu *v)
{
    struct stack_info *info = (struct stack_info *)(((uint64_t)v->stack | (STACK_SIZE - 1)) + 1) - 1;
    uint64_t *sp;

    info->vcpu = v;
    v->stack_top = (uint64_t)info;
    v->regs = (struct regs *)info - 1;
    /* As vcpu_stack_switch left it: six registers that do not matter, and where to go. */
    sp = (uint64_t *)v->regs;
    *--sp = (uint64_t)vcpu_first_run;
    sp -= 6;
    v->switch_sp = (uint64_t)sp;
    vcpu_state_changed(v);
}
