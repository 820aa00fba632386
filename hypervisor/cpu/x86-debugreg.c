// SPDX-License-Identifier: MIT
/*
 * Debug registers. A vCPU's are in v->dr; they are loaded only while it runs with a breakpoint enabled, and never point at the hypervisor. SDM vol. 3, 17.2.
 *
 * A data breakpoint of a guest may strike inside the hypervisor, when we read or write that memory for it: it is then passed over, as the guest's own
 * instruction did not touch it. Contract: hypercall.h, traps.h.
 */
#include "x86-debugreg.h"

#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "traps.h"
#include "vcpu.h"
#include "x86/state-asm.h"

#include <hv/errno.h>

#define DR6_FIXED 0xffff0ff0ul
#define DR6_REPORTED 0xe00ful /* B0-3, BD, BS, BT */
#define DR7_FIXED 0x400ul
#define DR7_RESERVED 0xf800ul /* among them GD, which would trap our own accesses */
#define DR7_FIELD(dr7, n) (((dr7) >> (16 + 4 * (n))) & 0xf)
#define DR7_ENABLED(dr7, n) (((dr7) >> (2 * (n))) & 3)
#define FIELD_RW(field) ((field)&3)
#define FIELD_LENGTH(field) ((field) >> 2)
#define RW_EXECUTE 0
#define RW_IO 2

void debugreg_load(const struct vcpu *v)
{
    unsigned int i;

    for (i = 0; i < 4; i++)
        write_dr(i, v->dr[i]);
    write_dr7(v->dr[7]);
}

void debugreg_unload(void)
{
    write_dr7(DR7_FIXED);
}

/* I/O breakpoints need CR4.DE, which is off; a code breakpoint has length 0. */
static bool dr7_ok(uint64_t dr7)
{
    unsigned int i;

    if (dr7 >> 32)
        return false;
    for (i = 0; i < 4; i++) {
        uint64_t field = DR7_FIELD(dr7, i);

        if (!DR7_ENABLED(dr7, i))
            continue;
        if (FIELD_RW(field) == RW_IO || (FIELD_RW(field) == RW_EXECUTE && FIELD_LENGTH(field) != 0))
            return false;
    }
    return true;
}

static long set_dr7(struct vcpu *v, uint64_t value)
{
    uint64_t flags;

    if (!dr7_ok(value))
        return -EINVAL;
    flags = irq_save();
    v->dr[7] = (value & ~DR7_RESERVED) | DR7_FIXED;
    if (debugreg_armed(v))
        debugreg_load(v);
    else
        debugreg_unload();
    irq_restore(flags);
    return 0;
}

long hypercall_set_debugreg(int reg, uint64_t value)
{
    struct vcpu *v = current_vcpu();

    switch (reg) {
    case 0 ... 3:
        if (!guest_range_ok(value, 1)) /* below the hypervisor nothing is canonical: a wide watch cannot reach into it */
            return -EPERM;
        v->dr[reg] = value;
        if (debugreg_armed(v))
            write_dr((unsigned int)reg, value);
        return 0;
    case 6:
        v->dr[6] = (value & DR6_REPORTED) | DR6_FIXED;
        return 0;
    case 7:
        return set_dr7(v, value);
    default:
        return -EINVAL;
    }
}

long hypercall_get_debugreg(int reg)
{
    const struct vcpu *v = current_vcpu();

    if (reg == 4 || reg == 5)
        reg += 2; /* as without CR4.DE */
    if (reg < 0 || reg > 7)
        return -EINVAL;
    return (long)(reg == 6 ? v->dr[6] | DR6_FIXED : reg == 7 ? v->dr[7] | DR7_FIXED : v->dr[reg]);
}

bool debug_trap_guest(struct vcpu *v, const struct regs *regs unused_arg)
{
    uint64_t dr6 = read_dr6();

    write_dr6(DR6_FIXED);
    v->dr[6] = ((v->dr[6] | dr6) & DR6_REPORTED) | DR6_FIXED;
    return true;
}

void debug_trap_own(struct regs *regs)
{
    write_dr6(DR6_FIXED);
    regs->rflags &= ~(uint64_t)RFLAGS_TF;
}
