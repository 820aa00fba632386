/* SPDX-License-Identifier: MIT */
/*
 * What guests may know of the processor: CPUID as the hypervisor answers it (ABI.md 3.2), and which features it switches per vCPU.
 *
 * Guest kernels see these answers through the forced-emulation prefix; guest programs execute CPUID itself and see the real processor. So a feature that
 * programs can use without their kernel must be one that we save. cpu/cpu-policy.c (pure), cpu/x86-cpuid.c. Tests: cpu/test-cpuid.c.
 */
#pragma once

#include "types.h"
#include "x86/cpu-asm.h"

struct vcpu;

#define POLICY_BASIC_LEAVES 14 /* 0..0xd */
#define POLICY_EXTENDED_LEAVES 9 /* 0x80000000..8 */
#define POLICY_CACHE_LEAVES 8 /* sub-leaves of 4 */
#define POLICY_XSTATE_LEAVES 10 /* sub-leaves of 0xd */

struct cpu_policy {
    struct cpuid_regs basic[POLICY_BASIC_LEAVES];
    struct cpuid_regs extended[POLICY_EXTENDED_LEAVES];
    struct cpuid_regs cache[POLICY_CACHE_LEAVES];
    struct cpuid_regs seven_one; /* leaf 7, sub-leaf 1 */
    struct cpuid_regs xstate[POLICY_XSTATE_LEAVES];
    uint64_t xcr0_mask;   /* XCR0 bits that guests may set; 0: no XSAVE, state is kept by FXSAVE */
    uint32_t xsave_bytes; /* area for all of xcr0_mask; 512 without XSAVE */
    bool xsaveopt;
    bool fsgsbase;        /* RDFSBASE and its kin may be used, by us too */
    bool tsc_aux;         /* RDTSCP or RDPID: MSR_TSC_AUX belongs to the vCPU */
    bool fp_pointers_leak; /* FXSAVE and XSAVE leave FIP, FDP, FOP alone unless an exception is pending (AMD before Zen 2) */
};
extern struct cpu_policy cpu_policy;

/* What differs from one question to the next. */
struct cpu_policy_asker {
    uint32_t vcpu_id;
    uint64_t xcr0;
    uint32_t tsc_khz;
    uint32_t machine_address_bits;
};

/* Pure part. */
void cpu_policy_build(struct cpu_policy *p, struct cpuid_regs (*raw)(uint32_t leaf, uint32_t subleaf));
struct cpuid_regs cpu_policy_answer(const struct cpu_policy *p, const struct cpu_policy_asker *who, uint32_t leaf, uint32_t subleaf);
/* Whether a guest may load this into XCR0 (SDM vol. 1, 13.3). */
bool cpu_policy_xcr0_ok(const struct cpu_policy *p, uint64_t xcr0);

/* Boot CPU, once, before the first vCPU is created; control registers are set. */
void cpu_policy_init(void);
struct cpuid_regs cpu_policy_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf);
