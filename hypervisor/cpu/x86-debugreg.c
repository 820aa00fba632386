/* SPDX-License-Identifier: MIT */
/*
 * Guest debug registers. Breakpoints may only lie in guest memory and never on I/O; they are loaded only while a vCPU that has one enabled runs.
 */
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "traps.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"
#include "x86/switch.h"

#include <hv/errno.h>

#define DR6_WRITABLE 0xe00fu /* B0-B3, BD, BS, BT */
#define DR6_FIXED 0xffff0ff0u
#define DR7_ENABLES 0xffu
#define DR7_FIXED 0x400u
#define DR7_GD (1u << 13)
#define DR7_IO 2u /* R/W field */

static void dr7_write(uint64_t value)
{
    __asm__ volatile("mov %0,%%db7" ::"r"(value));
}

static void addresses_write(const uint64_t *dr)
{
    __asm__ volatile("mov %0,%%db0; mov %1,%%db1; mov %2,%%db2; mov %3,%%db3" ::"r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

void debug_registers_enter(struct vcpu *v)
{
    struct cpu *cpu = this_cpu();

    if (likely(!(v->dr[7] & DR7_ENABLES))) {
        if (unlikely(cpu->breakpoints_loaded)) {
            dr7_write(DR7_FIXED);
            cpu->breakpoints_loaded = false;
        }
        return;
    }
    addresses_write(v->dr);
    dr7_write(v->dr[7]);
    cpu->breakpoints_loaded = true;
}

/* DR7 as it may be: no general detect, no I/O breakpoints. */
static bool dr7_check(uint64_t *value)
{
    unsigned int i;

    if (*value >> 32)
        return false;
    *value = (*value & ~(uint64_t)(DR7_GD | 0xd000)) | DR7_FIXED;
    for (i = 0; i < 4; i++)
        if (((*value >> (16 + 4 * i)) & 3) == DR7_IO && (*value & (3u << (2 * i))))
            return false;
    return true;
}

long hypercall_set_debugreg(int reg, uint64_t value)
{
    struct vcpu *v = current_vcpu();
    uint64_t flags;

    switch (reg) {
    case 0 ... 3:
        if (!guest_range_ok(value, 8))
            return -EPERM;
        break;
    case 4:
    case 6:
        if (value >> 32)
            return -EPERM;
        reg = 6;
        value = (value & DR6_WRITABLE) | DR6_FIXED;
        break;
    case 5:
    case 7:
        reg = 7;
        if (!dr7_check(&value))
            return -EPERM;
        break;
    default:
        return -EINVAL;
    }
    v->dr[reg] = value;
    flags = irq_save();
    debug_registers_enter(v);
    irq_restore(flags);
    return 0;
}

long hypercall_get_debugreg(int reg)
{
    const struct vcpu *v = current_vcpu();

    if (reg == 4 || reg == 5)
        reg += 2;
    return reg >= 0 && reg <= 7 && reg != 4 && reg != 5 ? (long)v->dr[reg] : -EINVAL;
}

static uint64_t dr6_take(void)
{
    uint64_t dr6;

    __asm__ volatile("mov %%db6,%0" : "=r"(dr6));
    __asm__ volatile("mov %0,%%db6" ::"r"((uint64_t)DR6_FIXED));
    return dr6;
}

bool debug_trap_guest(struct vcpu *v, const struct regs *regs unused_arg)
{
    v->dr[6] = (v->dr[6] & ~0xfull) | dr6_take();
    return true;
}

void debug_trap_own(struct regs *regs)
{
    dr6_take();
    regs->rflags &= ~(uint64_t)RFLAGS_TF;
    regs->rflags |= RFLAGS_RF;
}
