// SPDX-License-Identifier: MIT
/*
 * Kernel stack and segment bases: two hypercalls that the stock kernel makes at each of its own context switches. Contract: hypercall.h.
 */
#include "cpu-policy.h"
#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"
#include "x86/state-asm.h"
#include "x86/switch.h"

#include <hv/errno.h>
#include <xen/xen.h>

static inline bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

long hypercall_stack_switch(uint64_t ss, uint64_t esp)
{
    struct vcpu *v = current_vcpu();

    esp &= ~15ull;
    if (unlikely(!kernel_stack_ok(esp)))
        return -EPERM;
    v->kernel_sp = esp;
    v->kernel_ss = (ss & 0xffff) | 3;
    return 0;
}

/* The user's GS base is the inactive one while its kernel runs; so is the selector loaded: swap, load, swap. A bad selector becomes null. */
static void gs_user_selector(uint16_t selector)
{
    uint64_t flags = irq_save();

    swapgs();
    (void)segment_load_gs((selector & ~3u) != 0 ? selector | 3 : 0);
    swapgs();
    irq_restore(flags);
}

long hypercall_set_segment_base(unsigned int which, uint64_t base)
{
    if (which == SEGBASE_GS_USER_SEL) {
        gs_user_selector((uint16_t)base);
        return 0;
    }
    if (unlikely(!canonical(base)))
        return -EINVAL;
    switch (which) {
    case SEGBASE_FS:
        if (likely(cpu_policy.fsgsbase))
            wrfsbase(base);
        else
            wrmsr(MSR_FS_BASE, base);
        return 0;
    case SEGBASE_GS_USER:
        wrmsr(MSR_KERNEL_GS_BASE, base);
        return 0;
    case SEGBASE_GS_KERNEL:
        if (likely(cpu_policy.fsgsbase))
            wrgsbase(base);
        else
            wrmsr(MSR_GS_BASE, base);
        return 0;
    default:
        return -EINVAL;
    }
}
