/* SPDX-License-Identifier: MIT */
/*
 * A machine for unit tests of hypervisor files that ask which CPU and vCPU they run on: put before the first file with `-include`.
 * x86/cpu-asm.h and cpu.h are read with the few names that need ring 0, or one of our own stacks, set aside; then those names are given again.
 */
#pragma once

#define cpu_relax machine_cpu_relax
#define irq_save machine_irq_save
#define irq_restore machine_irq_restore
#define irq_enable machine_irq_enable
#define irq_disable machine_irq_disable
#define irq_enabled machine_irq_enabled
#define cpu_halt machine_cpu_halt
#include "../../hypervisor/include/x86/cpu-asm.h"
#undef cpu_relax
#undef irq_save
#undef irq_restore
#undef irq_enable
#undef irq_disable
#undef irq_enabled
#undef cpu_halt
/* Who spins here waits for a thread that may not be running: let it. */
#include <sched.h>
static inline void cpu_relax(void)
{
    sched_yield();
}
static inline uint64_t irq_save(void)
{
    return 0;
}
static inline void irq_restore(uint64_t flags)
{
    (void)flags;
}
static inline void irq_enable(void)
{
}
static inline void irq_disable(void)
{
}
static inline bool irq_enabled(void)
{
    return true;
}

#define this_cpu machine_this_cpu
#define this_cpu_id machine_this_cpu_id
#define current_vcpu machine_current_vcpu
#define softirq_any_pending machine_softirq_any_pending
#define preempt_point machine_preempt_point
#include "../../hypervisor/include/cpu.h"
#undef this_cpu
#undef this_cpu_id
#undef current_vcpu
#undef softirq_any_pending
#undef preempt_point

/* Set by tests; each thread plays a pCPU of its own. */
extern _Thread_local uint32_t fake_cpu_id;
extern _Thread_local struct vcpu *fake_vcpu;

static inline struct cpu *this_cpu(void)
{
    return &cpus[fake_cpu_id];
}
static inline uint32_t this_cpu_id(void)
{
    return fake_cpu_id;
}
static inline struct vcpu *current_vcpu(void)
{
    return fake_vcpu;
}
static inline void preempt_point(void)
{
}

/* The direct map, which a program cannot have at its address: tests that need it give the first two. The others compute as on the machine (so that one does not undo the other), unless a test has its own. */
#define mfn_to_virt machine_mfn_to_virt
#define virt_to_mfn machine_virt_to_mfn
#define maddr_to_virt machine_maddr_to_virt
#define virt_to_maddr machine_virt_to_maddr
#include "../../hypervisor/include/alloc.h"
#undef mfn_to_virt
#undef virt_to_mfn
#undef maddr_to_virt
#undef virt_to_maddr
void *mfn_to_virt(mfn_t mfn);
mfn_t virt_to_mfn(const void *va);
void *maddr_to_virt(uint64_t maddr);
uint64_t virt_to_maddr(const void *va);
