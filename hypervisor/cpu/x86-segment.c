/* SPDX-License-Identifier: MIT */
/*
 * Segment bases, the kernel stack, and loading selectors that may be bad. Hot: Linux calls two of these at each of its context switches.
 */
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"
#include "x86/switch.h"

#include <hv/errno.h>
#include <xen/xen.h>

#define STACK_ROOM PAGE_SIZE /* how far below the kernel's stack pointer the entry code may write without a check */

static bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* The entry code writes frames below sp unchecked: all of that must be the guest's. */
bool guest_stack_ok(uint64_t sp)
{
    return sp >= STACK_ROOM && guest_range_ok(sp - STACK_ROOM, STACK_ROOM);
}

long hypercall_stack_switch(uint64_t ss, uint64_t sp)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(!guest_stack_ok(sp)))
        return -EINVAL;
    v->kernel_ss = (ss & 0xffff) | 3;
    v->kernel_sp = sp & ~15ull;
    return 0;
}

#define SELECTOR_LOAD(reg, selector)                                                                                   \
    ({                                                                                                                 \
        uint32_t bad_ = 0;                                                                                             \
        __asm__ volatile("1: mov %w1,%%" reg "\n"                                                                      \
                         "   jmp 3f\n"                                                                                 \
                         "2: mov $1,%0\n"                                                                              \
                         "   mov %2,%%" reg "\n"                                                                       \
                         "3:\n"                                                                                        \
                         ".pushsection .ex_table,\"a\"\n .long 1b - .\n .long 2b - .\n .popsection"                    \
                         : "+r"(bad_)                                                                                  \
                         : "r"((uint32_t)(selector)), "r"(0)                                                           \
                         : "memory");                                                                                  \
        bad_ == 0;                                                                                                     \
    })

bool selector_load_ds(uint16_t selector)
{
    return SELECTOR_LOAD("ds", selector);
}
bool selector_load_es(uint16_t selector)
{
    return SELECTOR_LOAD("es", selector);
}
bool selector_load_fs(uint16_t selector)
{
    return SELECTOR_LOAD("fs", selector);
}
bool selector_load_gs(uint16_t selector)
{
    return SELECTOR_LOAD("gs", selector);
}

/* The user mode's gs, while its base waits in KERNEL_GS_BASE. A bad selector becomes null: no error, as the ABI has it. */
static void gs_user_selector_set(uint64_t selector)
{
    uint64_t flags = irq_save();

    swapgs();
    selector_load_gs((uint16_t)(selector & 0xfffc ? selector | 3 : 0));
    swapgs();
    irq_restore(flags);
}

long hypercall_set_segment_base(unsigned int which, uint64_t base)
{
    if (unlikely(which != SEGBASE_GS_USER_SEL && !canonical(base)))
        return -EINVAL;
    switch (which) {
    case SEGBASE_FS:
        if (likely(cpu_has_fsgsbase))
            wrfsbase(base);
        else
            wrmsr(MSR_FS_BASE, base);
        return 0;
    case SEGBASE_GS_USER:
        wrmsr(MSR_KERNEL_GS_BASE, base);
        return 0;
    case SEGBASE_GS_KERNEL:
        if (likely(cpu_has_fsgsbase))
            wrgsbase(base);
        else
            wrmsr(MSR_GS_BASE, base);
        return 0;
    case SEGBASE_GS_USER_SEL:
        gs_user_selector_set(base & 0xffff);
        return 0;
    default:
        return -EINVAL;
    }
}
