// SPDX-License-Identifier: MIT
/*
 * Model-specific registers as guests see them: the segment bases and TSC_AUX are theirs, a few may be read, all else is #GP, which the stock kernel expects
 * (ABI.md 3.1). Contract: emulate.h.
 */
#include "cpu-policy.h"
#include "emulate.h"
#include "vcpu.h"
#include "x86-msr.h"
#include "x86/state-asm.h"

#define MSR_TSC 0x10
#define MSR_EFER 0xc0000080u
#define EFER_SHOWN 0xd01ull /* SCE LME LMA NXE */

static inline bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        *value = rdmsr(msr);
        return true;
    case MSR_TSC_AUX:
        *value = v->tsc_aux;
        return cpu_policy.tsc_aux;
    case MSR_EFER:
        *value = rdmsr(MSR_EFER) & EFER_SHOWN;
        return true;
    case MSR_TSC:
        *value = rdtsc();
        return true;
    default:
        return false;
    }
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!canonical(value))
            return false;
        wrmsr(msr, value);
        return true;
    case MSR_TSC_AUX:
        if (!cpu_policy.tsc_aux || value >> 32)
            return false;
        vcpu_tsc_aux_set(v, (uint32_t)value);
        return true;
    case MSR_EFER: /* what it has it may write, and nothing else */
        return value == (rdmsr(MSR_EFER) & EFER_SHOWN);
    default:
        return false;
    }
}
