/* SPDX-License-Identifier: MIT */
/*
 * The machine, for hypervisor files that are compiled as part of a host program. Put before the first line with `-include`.
 *
 * x86/cpu-asm.h and cpu.h are read with the few names that need ring 0, or one of the hypervisor's own stacks, set aside;
 * then those names are given again, answered by sdk/host/cpu.c. So cores compile unchanged, and no copy of a header can go stale.
 */
#pragma once

#define cpu_relax machine_cpu_relax
#define irq_save machine_irq_save
#define irq_restore machine_irq_restore
#define irq_enable machine_irq_enable
#define irq_disable machine_irq_disable
#define irq_enabled machine_irq_enabled
#define irq_enable_and_halt machine_irq_enable_and_halt
#define cpu_halt machine_cpu_halt
#include "../../hypervisor/include/x86/cpu-asm.h"
#undef cpu_relax
#undef irq_save
#undef irq_restore
#undef irq_enable
#undef irq_disable
#undef irq_enabled
#undef irq_enable_and_halt
#undef cpu_halt

/* The pCPU that this thread plays now, and its interrupt flag. */
struct stack_info;
extern _Thread_local struct stack_info *host_stack;
extern _Thread_local bool host_irq_on;
/* Somebody spins: for another thread if there are any, else for ever, which is the end of the program. */
void host_relax(void);

static inline void cpu_relax(void)
{
    host_relax();
}
static inline uint64_t must_check irq_save(void)
{
    uint64_t flags = host_irq_on;

    host_irq_on = false;
    return flags;
}
static inline void irq_restore(uint64_t flags)
{
    host_irq_on = flags != 0;
}
static inline void irq_enable(void)
{
    host_irq_on = true;
}
static inline void irq_disable(void)
{
    host_irq_on = false;
}
static inline bool irq_enabled(void)
{
    return host_irq_on;
}

/* stack_info(void) is the definition in cpu.h and becomes another function; stack_info() is a call and gets ours. */
#define stack_info(...) host_stack_info_##__VA_ARGS__
#define host_stack_info_void machine_stack_info(void)
#define host_stack_info_ host_stack
#include "../../hypervisor/include/cpu.h"
