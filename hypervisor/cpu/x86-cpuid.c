// SPDX-License-Identifier: MIT
/*
 * CPUID answers for guests, from the policy made at boot out of this processor's own leaves. Contract: cpu-policy.h.
 */
#include "cpu-policy.h"
#include "frame.h"
#include "log.h"
#include "time.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"

#define CR4_FSGSBASE (1u << 16)
#define CR4_OSXSAVE (1u << 18)

struct cpu_policy cpu_policy;

/* What the start-up code did not switch on is not there. */
static struct cpuid_regs raw_leaf(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = cpuid(leaf, subleaf);
    uint64_t cr4 = read_cr4();

    if (leaf == 1 && !(cr4 & CR4_OSXSAVE))
        r.ecx &= ~(1u << 26);
    if (leaf == 7 && subleaf == 0 && !(cr4 & CR4_FSGSBASE))
        r.ebx &= ~1u;
    return r;
}

void cpu_policy_init(void)
{
    cpu_policy_build(&cpu_policy, raw_leaf);
    log_debug("guests: XCR0 %#lx, state area %u bytes%s%s", (unsigned long)cpu_policy.xcr0_mask, cpu_policy.xsave_bytes,
              cpu_policy.xsaveopt ? ", xsaveopt" : "", cpu_policy.fsgsbase ? ", fsgsbase" : "");
}

struct cpuid_regs cpu_policy_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    struct cpu_policy_asker who = {
        .vcpu_id = v->id,
        .xcr0 = v->xcr0,
        .tsc_khz = (uint32_t)(clock_tsc_hz / 1000),
        .machine_address_bits = max(32u, 64u - (uint32_t)__builtin_clzll((frame_table_end << PAGE_SHIFT) - 1)),
    };

    return cpu_policy_answer(&cpu_policy, &who, leaf, subleaf);
}
